import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Bundle, emptyBundle } from '../../src/spiffe/bundle.ts';
import { toJoseSignature } from '../../src/spiffe/jose.ts';
import { decodeUnverifiedJwtSvid, signJwtSvid, validateJwtSvid } from '../../src/spiffe/jwt-svid.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain, type TrustDomain } from '../../src/spiffe/trust-domain.ts';
import { signerOfKeyObject } from '../../src/x509/signer.ts';

const keys = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
};
type KeyName = keyof typeof keys;
const trustDomain = parseTrustDomain('example.org');
const bundle: Bundle = {
  ...emptyBundle(trustDomain),
  jwtAuthorities: Object.entries(keys).map(([keyId, { publicKey }]) => ({
    keyId,
    publicKey: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
    expiresAt: 0,
    tainted: false,
  })),
};
const bundles = (wanted: TrustDomain) => (wanted === trustDomain ? bundle : undefined);

const now = new Date('2030-01-01T00:00:00Z');
const nowSeconds = now.getTime() / 1000;
const claims = { sub: 'spiffe://example.org/web', aud: ['db'], exp: nowSeconds + 300, iat: nowSeconds };
const header = { alg: 'ES256', kid: 'p256', typ: 'JWT' };

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const P1363 = 'ieee-p1363' as const;

/** What Node's own crypto makes of an algorithm of RFC 7518. */
function signAs(alg: string, key: KeyObject, text: string): Buffer {
  const hash = `sha${alg.slice(2)}`;
  if (alg.startsWith('ES')) return sign(hash, Buffer.from(text), { key, dsaEncoding: P1363 });
  if (alg.startsWith('PS')) {
    const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
    return sign(hash, Buffer.from(text), { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
  }
  return sign(hash, Buffer.from(text), key);
}

function make(changedHeader: object = {}, changedClaims: unknown = {}, key: KeyName = 'p256', alg = 'ES256'): string {
  const payload = typeof changedClaims === 'object' ? { ...claims, ...changedClaims } : changedClaims;
  const text = `${encode({ ...header, ...changedHeader })}.${encode(payload)}`;
  return `${text}.${signAs(alg, keys[key].privateKey, text).toString('base64url')}`;
}
const validate = (token: string, audience = 'db') => validateJwtSvid(token, audience, bundles, now);
const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'SVID_INVALID', message: expect.stringMatching(message) });

describe('header', () => {
  test.each<[string, KeyName]>([
    ['RS256', 'rsa'],
    ['RS384', 'rsa'],
    ['RS512', 'rsa'],
    ['PS256', 'rsa'],
    ['PS384', 'rsa'],
    ['PS512', 'rsa'],
    ['ES256', 'p256'],
    ['ES384', 'p384'],
    ['ES512', 'p521'],
  ])('algorithm %s is accepted (JWT-SVID §2.1)', (alg, kid) => {
    expect(validate(make({ alg, kid }, {}, kid, alg))).toEqual({
      spiffeId: 'spiffe://example.org/web',
      audience: ['db'],
      expiresAt: new Date((nowSeconds + 300) * 1000),
      claims,
      token: expect.any(String),
    });
  });

  test.each(['none', 'HS256', 'EdDSA', 'es256', 'ES256K', 'toString', '', null, 7, undefined])(
    'algorithm %j is refused (JWT-SVID §2.1)',
    (alg) => {
      expect(() => validate(make({ alg }))).toThrow(refused(/algorithm/));
    },
  );

  test('a token that is not signed at all is refused (JWT-SVID §2.1)', () => {
    const text = `${encode({ ...header, alg: 'none' })}.${encode(claims)}`;
    expect(() => validate(`${text}.`)).toThrow(refused(/three parts/));
    expect(() => validate(`${text}.AA`)).toThrow(refused(/algorithm/));
  });

  test.each<[string, KeyName, KeyName, string]>([
    ['an EC key for RS256', 'p256', 'rsa', 'RS256'],
    ['an RSA key for ES256', 'rsa', 'p256', 'ES256'],
    ['a P-384 key for ES256', 'p384', 'p256', 'ES256'],
  ])('%s is refused (RFC 7518 §3)', (_rule, kid, key, alg) => {
    expect(() => validate(make({ alg, kid }, {}, key, alg))).toThrow(refused(/not of the kind/));
  });

  test.each(['JWT', 'JOSE', undefined])('type %s is accepted (JWT-SVID §2.3)', (typ) => {
    expect(validate(make({ typ })).spiffeId).toBe('spiffe://example.org/web');
  });

  test.each(['jwt', 'JWE', '', 1, null])('type %j is refused (JWT-SVID §2.3)', (typ) => {
    expect(() => validate(make({ typ }))).toThrow(refused(/type/));
  });

  test.each([undefined, '', 1])('key ID %j is refused (§2.2, as go-spiffe does)', (kid) => {
    expect(() => validate(make({ kid }))).toThrow(refused(/names no key/));
  });

  test('a key ID that the bundle does not have is refused', () => {
    expect(() => validate(make({ kid: 'gone' }))).toThrow(refused(/"gone" is not in the bundle/));
  });

  test('"crit" is refused (RFC 7515 §4.1.11), other parameters are not looked at', () => {
    expect(() => validate(make({ crit: ['b64'], b64: false }))).toThrow(refused(/crit/));
    expect(validate(make({ jku: 'https://evil.example' })).spiffeId).toBe('spiffe://example.org/web');
  });
});

describe('claims', () => {
  const accepted: readonly [rule: string, section: string, change: object][] = [
    ['an audience that is a text', '§3.2, RFC 7519 §4.1.3', { aud: 'db' }],
    ['several audiences', '§3.2', { aud: ['x', 'db'] }],
    ['claims of its own', '§3', { role: 'admin', nested: { a: [1] } }],
    ['an expiry with a fraction', 'RFC 7519 §2', { exp: nowSeconds + 0.5 }],
    ['an expiry within the leeway', '§3.3', { exp: nowSeconds - 59 }],
    ['no time of issue', 'RFC 7519 §4.1.6', { iat: undefined }],
    ['a clock ahead within the leeway', 'RFC 7519 §4.1.5', { nbf: nowSeconds + 60, iat: nowSeconds + 60 }],
  ];
  test.each(accepted)('%s: accepted (JWT-SVID %s)', (_rule, _section, change) => {
    expect(validate(make({}, change)).spiffeId).toBe('spiffe://example.org/web');
  });

  const rejected: readonly [rule: string, section: string, change: unknown, message: RegExp][] = [
    ['no subject', '§3.1', { sub: undefined }, /"sub" is missing/],
    ['a subject that is no text', '§3.1', { sub: 1 }, /"sub" is missing/],
    ['a subject that is no SPIFFE ID', '§3.1', { sub: 'web' }, /"sub" is no SPIFFE ID/],
    [
      'a subject of an unknown trust domain',
      '§4',
      { sub: 'spiffe://other.org/web' },
      /no bundle of trust domain "other.org"/,
    ],
    ['no audience', '§3.2', { aud: undefined }, /"aud" is missing/],
    ['an empty list of audiences', '§3.2', { aud: [] }, /"aud" is missing or empty/],
    ['an audience that is no text', '§3.2', { aud: ['db', 1] }, /no text/],
    ['another audience', '§3.2', { aud: ['web'] }, /audience "db" is not in/],
    ['an audience in another case', '§3.2', { aud: ['DB'] }, /audience "db" is not in/],
    ['no expiry', '§3.3', { exp: undefined }, /"exp" is missing/],
    ['an expiry that is no number', '§3.3', { exp: `${nowSeconds + 300}` }, /"exp" is no time/],
    ['an expiry beyond all time', '§3.3', { exp: 1e300 }, /"exp" is no time/],
    ['an expiry that is over', '§3.3', { exp: nowSeconds - 60 }, /expired at/],
    ['a start to come', 'RFC 7519 §4.1.5', { nbf: nowSeconds + 61 }, /not valid before/],
    ['a time of issue to come', 'RFC 7519 §4.1.6', { iat: nowSeconds + 61 }, /was issued at/],
    ['a payload that is a list', 'RFC 7519 §7.2', '[]', /no JSON object/],
    ['a payload that is no JSON', 'RFC 7519 §7.2', 'x', /no JSON/],
  ];
  test.each(rejected)('%s: refused (JWT-SVID %s)', (_rule, _section, change, message) => {
    expect(() => validate(make({}, change))).toThrow(refused(message));
  });

  test('an empty audience asked for is a mistake of the caller', () => {
    expect(() => validate(make(), '')).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
  });
});

describe('serialization and signature (JWT-SVID §5.1, RFC 7515 §7)', () => {
  const token = make();
  const [head = '', payload = '', signature = ''] = token.split('.');

  test.each([
    ['empty text', '', /three parts/],
    ['two parts', `${head}.${payload}`, /three parts/],
    ['four parts', `${token}.x`, /three parts/],
    ['an empty signature', `${head}.${payload}.`, /three parts/],
    ['JSON serialization', JSON.stringify({ protected: head, payload, signature }), /three parts/],
    ['padding', `${head}.${payload}.${signature}==`, /not base64url/],
    ['the alphabet of plain base64', `${head}.${payload}.+${signature.slice(1)}`, /not base64url/],
    ['white space', `${head}.${payload}.${signature}\n`, /not base64url/],
    [
      'the signature of other claims',
      `${head}.${encode({ ...claims, role: 'x' })}.${signature}`,
      /signature is not by/,
    ],
    ['a short signature', `${head}.${payload}.${signature.slice(0, 84)}`, /signature is not by/],
    ['more than 64 KiB', `${head}.${'A'.repeat(65_536)}.${signature}`, /65536 at most/],
  ])('%s is refused', (_rule, text, message) => {
    expect(() => validate(text)).toThrow(refused(message));
  });

  test('a signature by another key of the same kind is refused', () => {
    const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const forged = signAs('ES256', stranger, `${head}.${payload}`).toString('base64url');
    expect(() => validate(`${head}.${payload}.${forged}`)).toThrow(refused(/signature is not by/));
  });

  test('a key that has ended verifies nothing, whatever the token says', () => {
    const endingAt = (expiresAt: number): Bundle => ({
      ...bundle,
      jwtAuthorities: bundle.jwtAuthorities.map((authority) => ({ ...authority, expiresAt })),
    });
    const validateAt = (expiresAt: number) => validateJwtSvid(make(), 'db', () => endingAt(expiresAt), now);
    expect(() => validateAt(nowSeconds - 60)).toThrow(refused(/key "p256" of trust domain "example\.org" has ended/));
    expect(validateAt(nowSeconds - 59)).toMatchObject({ spiffeId: claims.sub });
    expect(validateAt(nowSeconds + 1)).toMatchObject({ spiffeId: claims.sub });
  });

  test('a DER signature is refused (RFC 7518 §3.4)', () => {
    const der = sign('sha256', Buffer.from(`${head}.${payload}`), keys.p256.privateKey).toString('base64url');
    expect(() => validate(`${head}.${payload}.${der}`)).toThrow(refused(/signature is not by/));
  });

  test('every changed character of a token is refused', () => {
    for (let index = 0; index < token.length; index++) {
      const replaced = token[index] === 'A' ? 'B' : 'A';
      expect(() => validate(token.slice(0, index) + replaced + token.slice(index + 1))).toThrow(refused(/./));
    }
  });
});

describe('signing', () => {
  const toSign = { ...claims, sub: parseSpiffeId(claims.sub) };

  test.each<[KeyName, string]>([
    ['p256', 'ES256'],
    ['p384', 'ES384'],
    ['rsa', 'RS256'],
  ])('a %s key signs with %s, many times', async (keyId, alg) => {
    const signer = signerOfKeyObject(keys[keyId].privateKey);
    for (let round = 0; round < 40; round++) {
      const token = await signJwtSvid({ ...toSign, jti: `${round}` }, keyId, signer);
      const [head = ''] = token.split('.');
      expect(JSON.parse(Buffer.from(head, 'base64url').toString())).toEqual({ alg, kid: keyId, typ: 'JWT' });
      expect(validate(token).claims).toEqual({ ...claims, jti: `${round}` });
    }
  });

  test.each<[string, object, string]>([
    ['no audience', { aud: [] }, 'p256'],
    ['an expiry with a fraction', { exp: 1.5 }, 'p256'],
    ['an expiry of 0', { exp: 0 }, 'p256'],
    ['no key ID', {}, ''],
  ])('%s is refused', async (_rule, change, keyId) => {
    const signer = signerOfKeyObject(keys.p256.privateKey);
    await expect(signJwtSvid({ ...toSign, ...change }, keyId, signer)).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    });
  });

  test('r and s keep their place when they are short (RFC 7518 §3.4)', () => {
    const der = Uint8Array.of(0x30, 0x07, 0x02, 0x01, 0x05, 0x02, 0x02, 0x00, 0x80);
    const joined = Buffer.from(toJoseSignature('ES256', der));
    expect(joined.toString('hex')).toBe(`${'00'.repeat(31)}05${'00'.repeat(31)}80`);
  });

  test('an r that is too long is refused', () => {
    const r = [0x02, 0x21, 0x01, ...Array.from({ length: 32 }, () => 1)];
    const der = Uint8Array.of(0x30, r.length + 3, ...r, 0x02, 0x01, 0x01);
    expect(() => toJoseSignature('ES256', der)).toThrow(expect.objectContaining({ code: 'DER_INVALID' }));
  });
});

test('a token is read without being verified', () => {
  const token = make({ kid: 'gone' }, { exp: 1 });
  expect(decodeUnverifiedJwtSvid(token)).toMatchObject({ spiffeId: claims.sub, expiresAt: new Date(1000) });
});

import { generateKeyPairSync } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import type { Bundle } from '../../src/spiffe/bundle.ts';
import {
  formatBundleDocument,
  formatBundlePem,
  parseBundleDocument,
  parseBundlePem,
} from '../../src/spiffe/bundle-document.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { OpenSslCa } from './openssl-ca.ts';

const ca = new OpenSslCa();
afterAll(() => ca[Symbol.dispose]());

const trustDomain = parseTrustDomain('example.org');
const first = ca.root('first');
const second = ca.root('second');
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const spkiOf = (pair: typeof ec) => new Uint8Array(pair.publicKey.export({ type: 'spki', format: 'der' }));
const ecJwk = ec.publicKey.export({ format: 'jwk' });
const rsaJwk = rsa.publicKey.export({ format: 'jwk' });

const x509Key = { use: 'x509-svid', ...ecJwk, x5c: [base64(first)] };
const jwtKey = { use: 'jwt-svid', ...ecJwk, kid: 'k1' };
const documentOf = (...keys: readonly unknown[]) => JSON.stringify({ keys });
const parse = (text: string) => parseBundleDocument(text, trustDomain);
const tainted = false;

const full: Bundle = {
  trustDomain,
  x509Authorities: [
    { certificate: first, tainted },
    { certificate: second, tainted },
  ],
  jwtAuthorities: [
    { keyId: 'k1', publicKey: spkiOf(ec), expiresAt: 0, tainted },
    { keyId: 'k2', publicKey: spkiOf(rsa), expiresAt: 0, tainted },
  ],
  refreshHintSeconds: 300,
  sequenceNumber: 2n ** 64n - 1n,
};

test('what is written is read again, a sequence number of 64 bits too (§4.1.1)', () => {
  expect(parse(formatBundleDocument(full))).toEqual(full);
});

test('the document is a JWK Set with the parameters of §4 and X509-SVID §6.1', () => {
  expect(JSON.parse(formatBundleDocument({ ...full, sequenceNumber: 7n }))).toEqual({
    keys: [
      expect.objectContaining({ use: 'x509-svid', kty: 'EC', crv: 'P-256', x5c: [base64(first)] }),
      expect.objectContaining({ use: 'x509-svid', kty: 'EC', crv: 'P-256', x5c: [base64(second)] }),
      { use: 'jwt-svid', kid: 'k1', ...ecJwk },
      { use: 'jwt-svid', kid: 'k2', ...rsaJwk },
    ],
    spiffe_sequence: 7,
    spiffe_refresh_hint: 300,
  });
  expect(formatBundleDocument(full)).not.toMatch(/"kid".*x5c|x5c.*"kid"/);
});

const accepted: readonly [rule: string, section: string, text: string, x509: number, jwt: number][] = [
  ['no keys at all', '§4.1.3', documentOf(), 0, 0],
  ['an X.509 and a JWT authority', '§4.2.2', documentOf(x509Key, jwtKey), 1, 1],
  ['an unknown use', '§4.2.2', documentOf({ ...jwtKey, use: 'wit-svid' }, jwtKey), 0, 1],
  ['no use', '§4.2.2', documentOf({ ...jwtKey, use: undefined }), 0, 0],
  ['a use in another case', '§4.2.2', documentOf({ ...jwtKey, use: 'JWT-SVID' }), 0, 0],
  ['an unknown key type', '§4.2.1', documentOf({ ...jwtKey, kty: 'OKP', crv: 'Ed25519' }), 0, 0],
  ['no key type', '§4.2.1', documentOf({ ...jwtKey, kty: undefined }), 0, 0],
  ['unknown parameters', '§4.1', JSON.stringify({ keys: [{ ...jwtKey, x: ecJwk.x, note: 1 }], more: {} }), 0, 1],
  ['no x5c', 'X509-SVID §6.2', documentOf({ ...x509Key, x5c: undefined }), 0, 0],
  ['an empty x5c', 'X509-SVID §6.2', documentOf({ ...x509Key, x5c: [] }), 0, 0],
  [
    'more than one certificate, of which the first counts',
    'X509-SVID §6.2',
    documentOf({ ...x509Key, x5c: [base64(first), '!'] }),
    1,
    0,
  ],
  ['a JWT key without key ID', 'JWT-SVID §6.2', documentOf({ ...jwtKey, kid: undefined }), 0, 0],
];
test.each(accepted)('accepts %s (%s)', (_rule, _section, text, x509, jwt) => {
  const bundle = parse(text);
  expect(bundle.x509Authorities).toHaveLength(x509);
  expect(bundle.jwtAuthorities).toHaveLength(jwt);
});

const rejected: readonly [rule: string, section: string, text: string, message: RegExp][] = [
  ['text that is no JSON', '§4', 'x', /no JSON/],
  ['a list', '§4', '[]', /no JSON object/],
  ['no keys', '§4.1.3', '{}', /"keys" is missing/],
  ['keys that are no list', '§4.1.3', '{"keys":{}}', /"keys" is missing/],
  ['a key that is no object', '§4.2', documentOf(1), /keys\[0\] is no JSON object/],
  [
    'a private EC key',
    '§4.2',
    documentOf(jwtKey, { ...ec.privateKey.export({ format: 'jwk' }), use: 'jwt-svid', kid: 'p' }),
    /keys\[1\] has "d"/,
  ],
  [
    'a private RSA key',
    '§4.2',
    documentOf({ ...rsa.privateKey.export({ format: 'jwk' }), use: 'unknown' }),
    /keys\[0\] has "d"/,
  ],
  ['a symmetric key', '§4.2', documentOf({ kty: 'oct', k: 'AA', use: 'jwt-svid', kid: 'p' }), /keys\[0\] has "k"/],
  ['x5c that is no list', 'X509-SVID §6.2', documentOf({ ...x509Key, x5c: base64(first) }), /no list of base64/],
  ['x5c that is no base64', 'X509-SVID §6.2', documentOf({ ...x509Key, x5c: ['?'] }), /not base64/],
  [
    'x5c that is no certificate',
    'X509-SVID §6.2',
    documentOf({ ...x509Key, x5c: ['AAAA'] }),
    /keys\[0\]\.x5c\[0\] cannot be read/,
  ],
  [
    'a point that is not on the curve',
    'RFC 7518 §6.2.1',
    documentOf({ ...jwtKey, x: ecJwk.y }),
    /keys\[0\] is no public key/,
  ],
  [
    'an RSA key of 1024 bits',
    'RFC 7518 §3.3',
    documentOf({
      ...generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' }),
      use: 'jwt-svid',
      kid: 'r',
    }),
    /keys\[0\] is no public key/,
  ],
  ['a key ID that is no text', 'JWT-SVID §6.1', documentOf({ ...jwtKey, kid: 1 }), /kid is no text/],
  ['a key ID twice', 'JWT-SVID §6.1', documentOf(jwtKey, jwtKey), /"k1" names two keys/],
  ['a sequence number that is text', '§4.1.1', '{"keys":[],"spiffe_sequence":"1"}', /spiffe_sequence/],
  ['a sequence number with a fraction', '§4.1.1', '{"keys":[],"spiffe_sequence":1.5}', /spiffe_sequence/],
  ['a negative sequence number', '§4.1.1', '{"keys":[],"spiffe_sequence":-1}', /spiffe_sequence/],
  ['a sequence number of 65 bits', '§4.1.1', '{"keys":[],"spiffe_sequence":18446744073709551616}', /spiffe_sequence/],
  ['a refresh hint that is text', '§4.1.2', '{"keys":[],"spiffe_refresh_hint":"1"}', /spiffe_refresh_hint/],
  ['a refresh hint with a fraction', '§4.1.2', '{"keys":[],"spiffe_refresh_hint":0.5}', /spiffe_refresh_hint/],
  ['a negative refresh hint', '§4.1.2', '{"keys":[],"spiffe_refresh_hint":-1}', /spiffe_refresh_hint/],
  ['1025 keys', 'our cap', documentOf(...Array.from({ length: 1025 }, () => ({}))), /1024 at most/],
  ['4 MiB of text', 'our cap', ' '.repeat(4 * 1024 * 1024 + 1), /at most/],
];
test.each(rejected)('rejects %s (%s)', (_rule, _section, text, message) => {
  expect(() => parse(text)).toThrow(
    expect.objectContaining({ code: 'BUNDLE_INVALID', message: expect.stringMatching(message) }),
  );
});

describe('PEM', () => {
  test('certificates that openssl wrote are read, and written again', () => {
    const text = `# a comment\n${ca.pem('first')}\n${ca.pem('second')}`;
    const bundle = parseBundlePem(text, trustDomain);
    expect(bundle.x509Authorities.map(({ certificate }) => certificate)).toEqual([first, second]);
    expect(formatBundlePem(bundle)).toBe(ca.pem('first') + ca.pem('second'));
  });

  test.each([
    ['nothing', '', /no PEM block/],
    ['a key', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n', /no PEM block/],
    ['a block without end', '-----BEGIN CERTIFICATE-----\nAAAA\n', /no PEM/],
    [
      'a block that is no certificate',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      /certificate 1 cannot/,
    ],
  ])('%s is refused', (_rule, text, message) => {
    expect(() => parseBundlePem(text, trustDomain)).toThrow(
      expect.objectContaining({ code: 'BUNDLE_INVALID', message: expect.stringMatching(message) }),
    );
  });
});

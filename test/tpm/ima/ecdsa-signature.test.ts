import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyPairKeyObjectResult,
  randomBytes,
  sign,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type EcPublicKey, isDigestSignedByEc } from '../../../src/tpm/ima/ecdsa-digest.ts';
import { isSignedBy, parseImaKey } from '../../../src/tpm/ima/ima-signature.ts';
import { sequence, Tag, tlv } from '../../../src/x509/der.ts';
import { parseSpki } from '../../../src/x509/spki.ts';

const CURVES = ['p256', 'p384', 'p521'] as const;
const HASHES = ['sha256', 'sha384', 'sha512'] as const;
const OPENSSL_NAMES = { p256: 'prime256v1', p384: 'secp384r1', p521: 'secp521r1' } as const;
const HEADER_BITS = 9 * 8;
const integer = (bytes: Uint8Array) => tlv(Tag.integer, bytes);
const vector = (name: string) => readFileSync(new URL(`../../vectors/ima/${name}`, import.meta.url));
const digestOf = (hash: string, bytes: Uint8Array) => createHash(hash).update(bytes).digest();
const textOf = (hash: string, bytes: Uint8Array) => `${hash}:${digestOf(hash, bytes).toString('hex')}`;
const publicOf = ({ publicKey }: KeyPairKeyObjectResult): EcPublicKey => {
  const info = parseSpki(new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })));
  if (info.type !== 'ec') throw new RangeError('the key is none of ECDSA');
  return info;
};

describe.each(CURVES)('what evmctl signed with a key on %s', (curve) => {
  const pem = vector(`${curve}.pem`).toString();
  const key = parseImaKey(pem);
  const file = vector('file');

  test.each(HASHES)('is taken by its digest, %s', (hash) => {
    const signature = vector(`${curve}-${hash}.sig`);
    expect(isSignedBy(key, { digest: textOf(hash, file), signature })).toBe(true);
    const spki = parseImaKey(createPublicKey(pem).export({ type: 'spki', format: 'pem' }).toString());
    expect(isSignedBy(spki, { digest: textOf(hash, file), signature })).toBe(true);
  });

  test.each(HASHES)('is of that file alone, %s', (hash) => {
    const signature = vector(`${curve}-${hash}.sig`);
    expect(isSignedBy(key, { digest: textOf(hash, Buffer.from('another')), signature })).toBe(false);
    const other = CURVES[(CURVES.indexOf(curve) + 1) % CURVES.length];
    expect(isSignedBy(parseImaKey(vector(`${other}.pem`).toString()), { digest: textOf(hash, file), signature })).toBe(
      false,
    );
  });

  test('is nothing with any one bit turned over', () => {
    const signature = vector(`${curve}-sha256.sig`);
    for (let bit = 0; bit < signature.length * 8; bit += bit < HEADER_BITS ? 1 : 17) {
      const changed = Buffer.from(signature);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect([bit, isSignedBy(key, { digest: textOf('sha256', file), signature: changed })]).toEqual([bit, false]);
    }
  });
});

describe.each(CURVES)('a digest and a key on %s', (curve) => {
  const pair = generateKeyPairSync('ec', { namedCurve: OPENSSL_NAMES[curve] });
  const key = publicOf(pair);

  test.each(['sha1', ...HASHES])('go together by %s as OpenSSL has it', (hash) => {
    for (const message of [randomBytes(20), randomBytes(20), Buffer.from('IMA')]) {
      const signature = sign(hash, message, pair.privateKey);
      const digest = digestOf(hash, message);
      expect(isDigestSignedByEc(key, digest, signature)).toBe(true);
      expect(isDigestSignedByEc(key, digest.with(0, 1 ^ (digest[0] ?? 0)), signature)).toBe(false);
      expect(
        isDigestSignedByEc(
          publicOf(generateKeyPairSync('ec', { namedCurve: OPENSSL_NAMES[curve] })),
          digest,
          signature,
        ),
      ).toBe(false);
    }
  });

  const digest = digestOf('sha256', Buffer.from('x'));
  const signature = sign('sha256', Buffer.from('x'), pair.privateKey);
  const order = {
    p256: 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
    p384: 'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
    p521: '01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409',
  }[curve];
  const n = Buffer.from(/^f/.test(order) ? `00${order}` : order, 'hex');
  const one = Buffer.of(1);
  test.each<readonly [string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['no DER', Buffer.alloc(64, 7)],
    ['r of 0', sequence(integer(Buffer.of(0)), integer(one))],
    ['s of 0', sequence(integer(one), integer(Buffer.of(0)))],
    ['r and s of 0', sequence(integer(Buffer.of(0)), integer(Buffer.of(0)))],
    ['r of the order', sequence(integer(n), integer(one))],
    ['s of the order', sequence(integer(one), integer(n))],
    ['r and s of 1', sequence(integer(one), integer(one))],
    ['a negative r', sequence(integer(Buffer.of(0x80)), integer(one))],
    ['a number of 4 kB', sequence(integer(Buffer.alloc(4_000, 0x7f)), integer(one))],
    ['a third number', sequence(integer(one), integer(one), integer(one))],
    ['bytes behind it', Buffer.concat([signature, Buffer.of(0)])],
  ])('refuse a signature that is or has %s', (_what, made) => {
    expect(isDigestSignedByEc(key, digest, made)).toBe(false);
  });
});

test('whoever makes the moved key a point that is none has no signature', () => {
  // With e = z + r d, the key Q and what is added to it are one point.
  const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const d = BigInt(
    `0x${Buffer.from(String(pair.privateKey.export({ format: 'jwk' }).d), 'base64url').toString('hex')}`,
  );
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const z = BigInt(`0x${digestOf('sha256', Buffer.from('IMA')).toString('hex')}`);
  for (const t of [d, order - d]) {
    const e = (z + t) % order;
    const digest = Buffer.from(e.toString(16).padStart(64, '0'), 'hex');
    const made = sequence(integer(Buffer.of(1)), integer(Buffer.of(1)));
    expect(isDigestSignedByEc(publicOf(pair), digest, made)).toBe(false);
  }
});

test.each([
  ['secp256k1', generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey, /this is ec secp256k1$/],
  ['Ed25519', generateKeyPairSync('ed25519').publicKey, /this is ed25519$/],
  ['RSA of 1024 bits', generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey, /this is rsa of 1024 bits$/],
])('a key of %s signs no files', (_what, key, message) => {
  expect(() => parseImaKey(key.export({ type: 'spki', format: 'pem' }).toString())).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
  );
});

import { constants, createHash, generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { RawSigningKey, type SignatureHash } from '../../src/addon/raw-signature.ts';

const MESSAGE = Buffer.from('a message');

function rsaKey(modulusLength: number) {
  return generateKeyPairSync('rsa', { modulusLength });
}
function ecKey(namedCurve: string) {
  return generateKeyPairSync('ec', { namedCurve });
}
const importKey = (key: KeyObject) => RawSigningKey.import(key.export({ type: 'pkcs8', format: 'der' }));
const digestOf = (hash: string) => createHash(hash).update(MESSAGE).digest();

/** Go's crypto.Hash numbers 4 to 7 and 10 to 15, by the names of Node. */
const HASHES: readonly (readonly [SignatureHash, string])[] = [
  ['sha224', 'sha224'],
  ['sha256', 'sha256'],
  ['sha384', 'sha384'],
  ['sha512', 'sha512'],
  ['sha512-224', 'sha512-224'],
  ['sha512-256', 'sha512-256'],
  ['sha3-224', 'sha3-224'],
  ['sha3-256', 'sha3-256'],
  ['sha3-384', 'sha3-384'],
  ['sha3-512', 'sha3-512'],
];

describe.each(['P-256', 'P-384'])('ECDSA with %s', (curve) => {
  const { privateKey, publicKey } = ecKey(curve);
  test.each(HASHES)('signs a %s digest, cut to the order where it is longer', (_hash, nodeHash) => {
    using key = importKey(privateKey);
    const signature = key.signDigest(digestOf(nodeHash), { scheme: 'ecdsa' });
    expect(verify(nodeHash, MESSAGE, publicKey, signature)).toBe(true);
  });
});

describe.each([2048, 4096])('RSA-%s', (bits) => {
  const { privateKey, publicKey } = rsaKey(bits);
  test.each(HASHES)('signs a %s digest with PKCS #1 v1.5 and PSS', (hash, nodeHash) => {
    using key = importKey(privateKey);
    const digest = digestOf(nodeHash);
    const pkcs1 = key.signDigest(digest, { scheme: 'rsa-pkcs1', hash });
    expect(verify(nodeHash, MESSAGE, publicKey, pkcs1)).toBe(true);
    const salts = [
      ['digest', digest.length],
      ['longest', bits / 8 - digest.length - 2],
      [0, 0],
      [20, 20],
    ] as const;
    for (const [saltLength, bytes] of salts) {
      const pss = key.signDigest(digest, { scheme: 'rsa-pss', hash, saltLength });
      const pssKey = { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: bytes };
      expect(verify(nodeHash, MESSAGE, pssKey, pss), `salt ${saltLength}`).toBe(true);
    }
  });

  test('signs bytes that are no digest with PKCS #1 v1.5 and no DigestInfo', () => {
    using key = importKey(privateKey);
    const digestInfo = Buffer.concat([
      Buffer.from('3031300d060960864801650304020105000420', 'hex'),
      digestOf('sha256'),
    ]);
    const signature = key.signDigest(digestInfo, { scheme: 'rsa-pkcs1', hash: 'none' });
    expect(verify('sha256', MESSAGE, publicKey, signature)).toBe(true);
  });
});

const rsa = rsaKey(2048).privateKey;
const ec = ecKey('P-256').privateKey;
const refused = [
  [
    'a digest of another length',
    rsa,
    31,
    { scheme: 'rsa-pkcs1', hash: 'sha256' },
    /sha256 digest has 32 bytes, this has 31/i,
  ],
  ['ECDSA with an RSA key', rsa, 32, { scheme: 'ecdsa' }, /the key is RSA and cannot sign with ecdsa/],
  [
    'RSA with an EC key',
    ec,
    32,
    { scheme: 'rsa-pkcs1', hash: 'sha256' },
    /the key is EC and cannot sign with rsa-pkcs1/,
  ],
  ['a salt that does not fit', rsa, 32, { scheme: 'rsa-pss', hash: 'sha256', saltLength: 223 }, /cannot be signed/],
  ['a negative salt', rsa, 32, { scheme: 'rsa-pss', hash: 'sha256', saltLength: -1 }, /salt of -1 bytes/],
  ['a fraction of a salt', rsa, 32, { scheme: 'rsa-pss', hash: 'sha256', saltLength: 1.5 }, /salt of 1.5 bytes/],
] as const;
test.each(refused)('refuses %s', (_what, privateKey, length, options, message) => {
  using key = importKey(privateKey);
  expect(() => key.signDigest(new Uint8Array(length), options)).toThrow(
    expect.objectContaining({ code: 'ARGUMENT_INVALID', message: expect.stringMatching(message) }),
  );
});

const ed25519 = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' });
const ecDer = ec.export({ type: 'pkcs8', format: 'der' });
test.each([
  ['nothing', new Uint8Array()],
  ['noise', Buffer.from('not a key')],
  ['a key of another kind', ed25519],
  ['a key with a byte after it', Buffer.concat([ecDer, Buffer.of(0)])],
  ['a key that is cut off', ecDer.subarray(0, -1)],
])('does not import %s', (_what, der) => {
  expect(() => RawSigningKey.import(der)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
});

test('signs no more once disposed, however often', () => {
  const key = importKey(ec);
  key[Symbol.dispose]();
  key[Symbol.dispose]();
  expect(() => key.signDigest(new Uint8Array(32), { scheme: 'ecdsa' })).toThrow(/the key is closed/);
});

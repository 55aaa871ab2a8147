import { constants, generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { DerReader, derNull, explicit, oid, sequence, unsignedInteger } from '../../src/x509/der.ts';
import { OID } from '../../src/x509/oids.ts';
import { readSignatureAlgorithm, signatureAlgorithmDer, verifySignature } from '../../src/x509/signature-algorithm.ts';

const read = (der: Uint8Array) => readSignatureAlgorithm(new DerReader(der));
const size = (value: number) => unsignedInteger(Uint8Array.of(value));
const mgf1 = (hash: Uint8Array) => sequence(oid(OID.mgf1), hash);
const pss = (...parameters: readonly Uint8Array[]) => sequence(oid(OID.rsassaPss), sequence(...parameters));
const sha = (name: string) => sequence(oid(name));
const pssOf = (name: string, saltLength: number) =>
  pss(explicit(0, sha(name)), explicit(1, mgf1(sha(name))), explicit(2, size(saltLength)));

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed25519 = generateKeyPairSync('ed25519');
const message = Buffer.from('message');
const pssKey = { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING };

const cases = [
  ['ECDSA, SHA-256', signatureAlgorithmDer('ec-p256'), ec.publicKey, sign('sha256', message, ec.privateKey)],
  ['ECDSA, SHA-384', signatureAlgorithmDer('ec-p384'), ec.publicKey, sign('sha384', message, ec.privateKey)],
  ['ECDSA, SHA-512', sequence(oid(OID.ecdsaWithSha512)), ec.publicKey, sign('sha512', message, ec.privateKey)],
  ['RSA PKCS #1, SHA-256', signatureAlgorithmDer('rsa-2048'), rsa.publicKey, sign('sha256', message, rsa.privateKey)],
  [
    'RSA PKCS #1, SHA-384',
    sequence(oid(OID.sha384WithRsaEncryption), derNull()),
    rsa.publicKey,
    sign('sha384', message, rsa.privateKey),
  ],
  [
    'RSA PKCS #1, SHA-512',
    sequence(oid(OID.sha512WithRsaEncryption), derNull()),
    rsa.publicKey,
    sign('sha512', message, rsa.privateKey),
  ],
  ['RSASSA-PSS, SHA-256', pssOf(OID.sha256, 32), rsa.publicKey, sign('sha256', message, { ...pssKey, saltLength: 32 })],
  ['RSASSA-PSS, SHA-384', pssOf(OID.sha384, 20), rsa.publicKey, sign('sha384', message, { ...pssKey, saltLength: 20 })],
  ['RSASSA-PSS, SHA-512', pssOf(OID.sha512, 64), rsa.publicKey, sign('sha512', message, { ...pssKey, saltLength: 64 })],
  ['Ed25519', sequence(oid(OID.ed25519)), ed25519.publicKey, sign(null, message, ed25519.privateKey)],
] as const;

test.each(cases)('%s: its own signatures, and nobody else’s', (name, der, key, signature) => {
  const algorithm = read(der);
  expect(verifySignature(algorithm, key, message, signature)).toBe(true);
  expect(verifySignature(algorithm, key, Buffer.from('massage'), signature)).toBe(false);
  expect(verifySignature(algorithm, key, message, signature.subarray(1))).toBe(false);
  expect(verifySignature(algorithm, key, message, new Uint8Array())).toBe(false);
  for (const [otherName, other] of cases) {
    if (otherName !== name) expect(verifySignature(read(other), key, message, signature)).toBe(false);
  }
});

test('a salt length other than the one that was used (RFC 4055 §3.1)', () => {
  const signature = sign('sha256', message, { ...pssKey, saltLength: 32 });
  expect(verifySignature(read(pssOf(OID.sha256, 20)), rsa.publicKey, message, signature)).toBe(false);
});

const sha256Field = explicit(0, sha(OID.sha256));
const mask = explicit(1, mgf1(sha(OID.sha256)));
test.each([
  ['SHA-1 by default', 'RFC 4055 §3.1', pss(), /hash/],
  ['SHA-1', 'RFC 4055 §3.1', pss(explicit(0, sha('1.3.14.3.2.26')), mask), /1\.3\.14\.3\.2\.26 is not supported/],
  ['MGF1 with SHA-1 by default', 'RFC 4055 §3.1', pss(sha256Field), /mask/],
  ['another mask', 'RFC 4055 §3.1', pss(sha256Field, explicit(1, sequence(oid('1.2.3'), sha(OID.sha256)))), /not MGF1/],
  ['a mask of another hash', 'RFC 4055 §3.1', pss(sha256Field, explicit(1, mgf1(sha(OID.sha384)))), /another hash/],
  ['a trailer of its own', 'RFC 4055 §3.1', pss(sha256Field, mask, explicit(3, size(2))), /trailer is not 1/],
  [
    'a salt over the cap',
    'cap',
    pss(sha256Field, mask, explicit(2, unsignedInteger(Uint8Array.of(2, 1)))),
    /513 is above/,
  ],
  ['fields in another order', 'RFC 4055 §3.1', pss(mask, sha256Field), /hash has tag 0xa1/],
  ['no parameters', 'RFC 4055 §3.1', sequence(oid(OID.rsassaPss)), /RSASSA-PSS parameters/],
  ['NULL with a content', 'X.690 §8.8', sequence(oid(OID.sha256WithRsaEncryption), Uint8Array.of(5, 1, 0)), /no NULL/],
])('refuses RSA parameters: %s (%s)', (_rule, _section, der, message) => {
  expect(() => read(der)).toThrow(
    expect.objectContaining({ code: 'DER_INVALID', message: expect.stringMatching(message) }),
  );
});

test.each(['1.2.840.113549.1.1.5', '1.2.840.113549.1.1.4', '1.2.840.10045.4.1', '1.2.3'])(
  '%s (SHA-1, MD5, anything unknown) parses and never verifies',
  (name) => {
    const algorithm = read(sequence(oid(name), derNull()));
    expect(algorithm.scheme).toBe('unknown');
    expect(() => verifySignature(algorithm, rsa.publicKey, message, new Uint8Array(256))).toThrow(
      expect.objectContaining({ code: 'DER_INVALID', message: expect.stringContaining(name) }),
    );
  },
);

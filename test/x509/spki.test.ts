import { createPublicKey, generateKeyPairSync, hash, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { bitString, derNull, oid, sequence, unsignedInteger } from '../../src/x509/der.ts';
import { OID } from '../../src/x509/oids.ts';
import { decodePem } from '../../src/x509/pem.ts';
import { canonicalSpki, keyTypeOfSpki, parseSpki, publicKeyOfSpki, subjectKeyIdOfSpki } from '../../src/x509/spki.ts';

const spkiOf = ({ publicKey }: { readonly publicKey: KeyObject }): Uint8Array =>
  new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
const ecSpkiOf = (namedCurve: string) => spkiOf(generateKeyPairSync('ec', { namedCurve }));
const rsa2048 = spkiOf(generateKeyPairSync('rsa', { modulusLength: 2048 }));
const modulus2048 = () => {
  const key = parseSpki(rsa2048);
  return key.type === 'rsa' ? key.modulus : new Uint8Array();
};

function rsaSpki(modulus: Uint8Array, exponent: Uint8Array, algorithm: string = OID.rsaEncryption): Uint8Array {
  const key = sequence(unsignedInteger(modulus), unsignedInteger(exponent));
  return sequence(sequence(oid(algorithm), derNull()), bitString(key));
}
const E = Uint8Array.of(1, 0, 1);

describe('key types', () => {
  test.each([
    ['ec-p256', ecSpkiOf('P-256')],
    ['ec-p384', ecSpkiOf('P-384')],
    ['rsa-2048', rsa2048],
    ['rsa-4096', rsaSpki(new Uint8Array(512).fill(0xff), E)],
  ])('%s', (keyType, spki) => expect(keyTypeOfSpki(spki)).toBe(keyType));

  test.each([
    ['P-521', ecSpkiOf('P-521')],
    ['Ed25519', spkiOf(generateKeyPairSync('ed25519'))],
    ['RSA 3072', rsaSpki(new Uint8Array(384).fill(0xff), E)],
    ['RSAES-OAEP', rsaSpki(new Uint8Array(256).fill(0xff), E, OID.rsaesOaep)],
  ])('%s is none that a key manager makes, but parses', (_name, spki) => {
    expect(() => keyTypeOfSpki(spki)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
    expect(parseSpki(spki)).toBeDefined();
  });
});

describe('refusals', () => {
  const p256 = ecSpkiOf('P-256');
  const point = p256.subarray(-65);
  const ecSpki = (curve: Uint8Array, bytes: Uint8Array) =>
    sequence(sequence(oid(OID.ecPublicKey), curve), bitString(bytes));
  const offCurve = Uint8Array.from(point, (octet, index) => (index === 64 ? octet ^ 1 : octet));
  test.each([
    [
      'an algorithm that nobody here verifies',
      'RFC 5280 §4.1.2.7',
      spkiOf(generateKeyPairSync('x25519')),
      /1\.3\.101\.110 are not/,
    ],
    ['a curve off the list', 'RFC 5480 §2.1.1.1', ecSpkiOf('secp256k1'), /curve 1\.3\.132\.0\.10/],
    [
      'a compressed point',
      'RFC 5480 §2.2',
      ecSpki(oid(OID.secp256r1), Uint8Array.of(2, ...point.subarray(1, 33))),
      /uncompressed/,
    ],
    ['a short point', 'RFC 5480 §2.2', ecSpki(oid(OID.secp256r1), point.subarray(0, 64)), /uncompressed/],
    ['a point of another curve', 'RFC 5480 §2.2', ecSpki(oid(OID.secp384r1), point), /97 octets/],
    ['a point off its curve', 'SEC 1 §3.2.2.1', ecSpki(oid(OID.secp256r1), offCurve), /no valid key/],
    ['explicit curve parameters', 'RFC 5480 §2.1.1', ecSpki(sequence(), point), /tag 0x30, not 0x06/],
    ['no curve', 'RFC 5480 §2.1.1', sequence(sequence(oid(OID.ecPublicKey)), bitString(point)), /names no curve/],
    [
      'rsaEncryption without NULL',
      'RFC 4055 §1.2',
      sequence(sequence(oid(OID.rsaEncryption)), bitString(sequence())),
      /not NULL/,
    ],
    ['RSA below 2048 bits', 'SP 800-131A', rsaSpki(new Uint8Array(128).fill(0xff), E), /1024 bits/],
    ['RSA of 2047 bits', 'SP 800-131A', rsaSpki(new Uint8Array(256).fill(0x7f), E), /2047 bits/],
    ['RSA above 8192 bits', 'cap', rsaSpki(new Uint8Array(1025).fill(0xff), E), /8200 bits/],
    ['an even modulus', 'RFC 8017 §3.1', rsaSpki(new Uint8Array(256).fill(0xfe), E), /even/],
    ['exponent 1', 'RFC 8017 §3.1', rsaSpki(modulus2048(), Uint8Array.of(1)), /exponent/],
    ['an even exponent', 'RFC 8017 §3.1', rsaSpki(modulus2048(), Uint8Array.of(4)), /exponent/],
    ['an exponent over 32 bits', 'cap', rsaSpki(modulus2048(), Uint8Array.of(1, 0, 0, 0, 1)), /exponent/],
    ['an exponent 0', 'RFC 8017 §3.1', rsaSpki(modulus2048(), new Uint8Array()), /not positive/],
    ['more than 4096 octets', 'cap', sequence(new Uint8Array(4100)), /more than 4096/],
  ])('%s (%s)', (_rule, _section, spki, message) => {
    expect(() => publicKeyOfSpki(spki)).toThrow(
      expect.objectContaining({ code: 'DER_INVALID', message: expect.stringMatching(message) }),
    );
  });
});

describe('canonical form', () => {
  test('an RSAES-OAEP key becomes the same key as rsaEncryption (RFC 4055 §4)', () => {
    const oaep = rsaSpki(modulus2048(), E, OID.rsaesOaep);
    expect(Buffer.from(canonicalSpki(oaep)).equals(rsa2048)).toBe(true);
    expect(
      publicKeyOfSpki(oaep).equals(createPublicKey({ key: Buffer.from(rsa2048), type: 'spki', format: 'der' })),
    ).toBe(true);
  });

  test.each(['P-256', 'P-384', 'P-521'])('%s stays as it is', (namedCurve) => {
    const spki = ecSpkiOf(namedCurve);
    expect(Buffer.from(canonicalSpki(spki)).equals(spki)).toBe(true);
  });
});

test('the key identifier is SHA-1 of the key bits (RFC 5280 §4.2.1.2), as an issuer that is not ours has it', () => {
  const text = readFileSync(new URL('../vectors/x509/swtpm-localca-cert.pem', import.meta.url), 'utf8');
  const [der = new Uint8Array()] = decodePem(text, 'CERTIFICATE');
  const certificate = parseCertificate(der);
  const bits = publicKeyOfSpki(certificate.subjectPublicKeyInfo).export({ type: 'pkcs1', format: 'der' });
  expect(Buffer.from(subjectKeyIdOfSpki(certificate.subjectPublicKeyInfo))).toEqual(hash('sha1', bits, 'buffer'));
});

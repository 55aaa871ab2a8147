import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { EK_TEMPLATES } from '../../src/tpm/ek-templates.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import { encodePublic, type PublicArea, parsePublic } from '../../src/tpm/public-area.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { deniedBy } from '../harness/denied.ts';
import { rocaModulus } from './roca-modulus.ts';
import { MACHINES, readVector, toHex } from './vectors.ts';

test.each(MACHINES)('takes the endorsement keys of %s, whose hash is that of the certificate’s key', (machine) => {
  for (const [key, certificate] of [
    ['ek-rsa', 'ek-rsa2048.nv.der'],
    ['ek-ecc', 'ek-ecc384.nv.der'],
  ] as const) {
    const ek = requireEndorsementKey(readVector(machine, `${key}.tpm2b_public`));
    const { subjectPublicKeyInfo } = parseCertificate(readVector(machine, certificate));
    expect(ek.pubHash).toBe(createHash('sha256').update(subjectPublicKeyInfo).digest('hex'));
    expect(toHex(ek.spki)).toBe(toHex(subjectPublicKeyInfo));
  }
});

const rsa = parsePublic(readVector('direct-kernel', 'ek-rsa.tpm2b_public'));
const ecc = parsePublic(readVector('direct-kernel', 'ek-ecc.tpm2b_public'));

/** Changes one bit or byte of the key itself. */
function withModulus(change: (modulus: Uint8Array) => Uint8Array): PublicArea {
  return rsa.type === 'rsa' ? { ...rsa, modulus: change(Uint8Array.from(rsa.modulus)) } : rsa;
}

function withLastByte(bytes: Uint8Array, change: (byte: number) => number): Uint8Array {
  return bytes.with(-1, change(bytes.at(-1) ?? 0));
}

const sm2 = EK_TEMPLATES.find((template) => template.name === 'H-5')?.publicArea ?? ecc;

const REFUSED: readonly (readonly [string, string, PublicArea])[] = [
  ['A6', 'userWithAuth on a low-range key', { ...rsa, attributes: rsa.attributes | 0x40 }],
  ['A6', 'no fixedTPM', { ...rsa, attributes: rsa.attributes & ~0x02 }],
  ['A6', 'no restricted', { ...ecc, attributes: ecc.attributes & ~0x1_0000 }],
  ['A6', 'sign', { ...ecc, attributes: ecc.attributes | 0x4_0000 }],
  ['A6', 'no policy', { ...rsa, authPolicy: new Uint8Array(0) }],
  ['A6', 'a policy of its own', { ...rsa, authPolicy: withLastByte(rsa.authPolicy, (byte) => byte ^ 1) }],
  ['A6', 'SHA-1 as name algorithm', { ...rsa, nameAlg: 'sha1' }],
  ['A6', 'another name algorithm than the template’s', { ...ecc, nameAlg: 'sha256' }],
  ['A6', 'another symmetric key size', { ...rsa, symmetric: { algorithm: 'aes', keyBits: 256, mode: 'cfb' } }],
  ['A6', 'no symmetric algorithm', { ...rsa, symmetric: undefined }],
  ['A6', 'a scheme', rsa.type === 'rsa' ? { ...rsa, scheme: { algorithm: 'rsassa', hash: 'sha256' } } : rsa],
  ['A6', 'an exponent', rsa.type === 'rsa' ? { ...rsa, exponent: 3 } : rsa],
  ['A6', 'RSA of 1024 bits', rsa.type === 'rsa' ? { ...rsa, keyBits: 1024 } : rsa],
  ['A7', 'a modulus that is shorter than it says', withModulus((modulus) => modulus.subarray(0, 128))],
  ['A7', 'a modulus with a leading zero', withModulus((modulus) => modulus.with(0, 0))],
  ['A7', 'an even modulus', withModulus((modulus) => withLastByte(modulus, (byte) => byte & 0xfe))],
  ['A7', 'a modulus with the ROCA fingerprint', withModulus(rocaModulus)],
  ['A7', 'a point beside its curve', ecc.type === 'ecc' ? { ...ecc, y: withLastByte(ecc.y, (byte) => byte ^ 1) } : ecc],
  ['A7', 'the point at infinity', ecc.type === 'ecc' ? { ...ecc, x: new Uint8Array(48), y: new Uint8Array(48) } : ecc],
  ['A7', 'the SM2 curve', sm2],
];

test.each(REFUSED)('%s refuses %s', (check, _what, area) => {
  expect(() => requireEndorsementKey(encodePublic(area))).toThrow(deniedBy(check));
});

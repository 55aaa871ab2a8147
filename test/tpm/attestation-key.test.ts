import { expect, test } from 'vitest';
import { requireAttestationKey } from '../../src/tpm/attestation-key.ts';
import { OBJECT_ATTRIBUTES } from '../../src/tpm/object-attributes.ts';
import { encodePublic, type PublicArea, parsePublic } from '../../src/tpm/public-area.ts';
import { concat } from '../../src/tpm/tpm-writer.ts';
import { deniedBy } from '../harness/denied.ts';
import { MACHINES, readVector, toHex } from './vectors.ts';

test.each(MACHINES)('takes the attestation keys of %s, by the names that the TPM gave them', (machine) => {
  for (const [key, scheme] of [
    ['ak-rsa', 'rsassa'],
    ['ak-rsapss', 'rsapss'],
    ['ak-ecc', 'ecdsa'],
  ] as const) {
    const ak = requireAttestationKey(readVector(machine, `${key}.tpm2b_public`));
    expect(toHex(ak.name)).toBe(toHex(readVector(machine, `${key}.name`)));
    expect([ak.scheme, ak.hash]).toEqual([scheme, 'sha256']);
  }
});

const bytes = readVector('direct-kernel', 'ak-ecc.tpm2b_public');
const ecc = parsePublic(bytes);
const rsa = parsePublic(readVector('direct-kernel', 'ak-rsa.tpm2b_public'));
const { fixedTPM, fixedParent, sensitiveDataOrigin, restricted, sign, decrypt, encryptedDuplication } =
  OBJECT_ATTRIBUTES;

function without(attribute: number): Uint8Array {
  return encodePublic({ ...ecc, attributes: ecc.attributes & ~attribute });
}

function withAttribute(attribute: number): Uint8Array {
  return encodePublic({ ...ecc, attributes: ecc.attributes | attribute });
}

function withFields(area: PublicArea, fields: Partial<PublicArea>): Uint8Array {
  return encodePublic({ ...area, ...fields } as PublicArea);
}

const REFUSED: readonly (readonly [string, string, Uint8Array])[] = [
  ['B12', 'no fixedTPM', without(fixedTPM)],
  ['B12', 'no fixedParent', without(fixedParent)],
  ['B12', 'no sensitiveDataOrigin', without(sensitiveDataOrigin)],
  ['B12', 'no restricted', without(restricted)],
  ['B12', 'no sign', without(sign)],
  ['B12', 'decrypt', withAttribute(decrypt)],
  ['B12', 'encryptedDuplication', withAttribute(encryptedDuplication)],
  ['B13', 'a byte after the public area', concat(bytes, Uint8Array.of(0))],
  ['B13', 'SHA-1 as name algorithm', withFields(ecc, { nameAlg: 'sha1' })],
  ['B14', 'a null scheme', withFields(ecc, { scheme: undefined })],
  ['B14', 'a scheme that does not sign', withFields(ecc, { scheme: { algorithm: 'ecdh', hash: 'sha256' } })],
  ['B14', 'SHA-1 in the scheme', withFields(rsa, { scheme: { algorithm: 'rsassa', hash: 'sha1' } })],
  ['B14', 'RSA of 1024 bits', withFields(rsa, { keyBits: 1024, modulus: new Uint8Array(128).fill(0xc1) })],
  ['B14', 'a point beside its curve', withFields(ecc, { x: new Uint8Array(32).fill(1) })],
];

test.each(REFUSED)('%s refuses %s', (check, _what, area) => {
  expect(() => requireAttestationKey(area)).toThrow(deniedBy(check));
});

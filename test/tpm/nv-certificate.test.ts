import { expect, test } from 'vitest';
import { cutNvCertificate } from '../../src/tpm/nv-certificate.ts';
import { concat, u16 } from '../../src/tpm/tpm-writer.ts';
import { readVector, toHex } from './vectors.ts';

const certificate = readVector('direct-kernel', 'ek-rsa2048.nv.der');
const wrapper = concat(Uint8Array.of(0x10, 0x01, 0x00), u16(certificate.length));

test.each([
  ['nothing around it', certificate],
  ['the wrapper', concat(wrapper, certificate)],
  ['padding of zeros', concat(certificate, new Uint8Array(600))],
  ['padding of FF', concat(certificate, new Uint8Array(1600).fill(0xff))],
  ['both', concat(wrapper, certificate, new Uint8Array(64).fill(0xff))],
])('A1: finds the certificate with %s', (_what, content) => {
  expect(toHex(cutNvCertificate(content))).toBe(toHex(certificate));
});

test.each([
  ['an empty index', new Uint8Array(0)],
  ['an index of zeros', new Uint8Array(1024)],
  ['a cut certificate', certificate.subarray(0, 500)],
  ['a second certificate behind it', concat(certificate, certificate)],
  ['mixed padding', concat(certificate, Uint8Array.of(0x00, 0xff))],
])('A1: refuses %s', (_what, content) => {
  expect(() => cutNvCertificate(content)).toThrow(expect.objectContaining({ code: 'TPM_DATA_INVALID' }));
});

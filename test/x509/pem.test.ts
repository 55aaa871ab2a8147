import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decodePem, encodePem } from '../../src/x509/pem.ts';

test.each([1, 47, 48, 49, 96, 1000])('%i octets come back', (length) => {
  const der = new Uint8Array(length).map((_, index) => index);
  const text = encodePem('CERTIFICATE', der);
  expect(text.split('\n').every((line) => line.length <= 64)).toBe(true);
  expect(decodePem(text, 'CERTIFICATE')).toEqual([der]);
});

test('takes blocks of its label in order, among text and other blocks (RFC 7468 §2)', () => {
  const one = encodePem('CERTIFICATE', Uint8Array.of(1));
  const two = encodePem('CERTIFICATE', Uint8Array.of(2));
  const key = encodePem('PRIVATE KEY', Uint8Array.of(3));
  const text = `subject: x\n${one}\nnotes\n${key}${two}`.replaceAll('\n', '\r\n');
  expect(decodePem(text, 'CERTIFICATE')).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
  expect(decodePem('', 'CERTIFICATE')).toEqual([]);
});

test('writes what openssl writes', () => {
  const text = readFileSync(new URL('../vectors/x509/swtpm-localca-cert.pem', import.meta.url), 'utf8');
  const block = text.slice(text.indexOf('-----BEGIN'));
  expect(decodePem(text, 'CERTIFICATE').map((der) => encodePem('CERTIFICATE', der))).toEqual([block]);
});

const block = encodePem('CERTIFICATE', Uint8Array.of(1, 2, 3));
test.each([
  ['a block without end', 'RFC 7468 §3', block.slice(0, 40), /does not end/],
  ['a block inside a block', 'RFC 7468 §3', block.slice(0, 28) + block, /does not end before/],
  ['an end without beginning', 'RFC 7468 §3', block.slice(28), /without having begun/],
  ['ends of another label', 'RFC 7468 §2', block.replace('END CERT', 'END OTHER CERT'), /without having begun/],
  ['no base64', 'RFC 7468 §3', block.replace('AQID', 'AQ*D'), /not base64/],
  ['bits after the padding', 'RFC 4648 §3.5', block.replace('AQID', 'AQJ='), /not base64/],
  ['an empty block', 'RFC 7468 §3', block.replace('AQID', ''), /not base64/],
  ['more than 4 MiB', 'cap', 'x'.repeat(4 * 1024 * 1024 + 1), /larger/],
])('rejects %s (%s)', (_rule, _section, text, message) => {
  expect(() => decodePem(text, 'CERTIFICATE')).toThrow(
    expect.objectContaining({ code: 'ARGUMENT_INVALID', message: expect.stringMatching(message) }),
  );
});

import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CURVES, spkiOfEcPoint, spkiOfRsa } from '../../src/pkcs11/public-key.ts';
import { octetString, oid } from '../../src/x509/der.ts';
import { parseSpki } from '../../src/x509/spki.ts';

const refusal = (message: RegExp) =>
  expect.objectContaining({ code: 'FAILED_PRECONDITION', message: expect.stringMatching(message) });

function ecKey(namedCurve: string): { spki: Uint8Array; point: Uint8Array } {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve });
  const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  const key = parseSpki(spki);
  if (key.type !== 'ec') throw new Error('no EC key');
  return { spki, point: key.point };
}

describe.each([
  ['P-256', CURVES['ec-p256']],
  ['P-384', CURVES['ec-p384']],
] as const)('a point of %s', (name, { parameters, size }) => {
  const { spki, point } = ecKey(name);

  test('is taken as an OCTET STRING, as the standard has it, and bare, as some modules have it', () => {
    expect(spkiOfEcPoint(parameters, octetString(point))).toEqual(spki);
    expect(spkiOfEcPoint(parameters, point)).toEqual(spki);
  });

  test.each([
    ['nothing', new Uint8Array(), /no uncompressed point/],
    ['cut off', octetString(point).subarray(0, -1), /no uncompressed point/],
    ['longer', Buffer.concat([octetString(point), Buffer.of(0)]), /no uncompressed point/],
    ['compressed', octetString(Buffer.concat([Buffer.of(2), point.subarray(1, 1 + size)])), /no uncompressed point/],
    ['of another form', octetString(point.with(0, 6)), /no uncompressed point/],
    ['in an OCTET STRING of a wrong length', octetString(point).with(1, 3), /no uncompressed point/],
    ['not on the curve', octetString(point.with(size, (point[size] ?? 0) ^ 1)), /is no point on its curve/],
    ['of the other curve', octetString(ecKey(name === 'P-256' ? 'P-384' : 'P-256').point), /no uncompressed point/],
  ])('that is %s is refused', (_what, bytes, message) => {
    expect(() => spkiOfEcPoint(parameters, bytes)).toThrow(refusal(message));
  });
});

test('a point of another curve is refused', () => {
  const { point } = ecKey('P-521');
  expect(() => spkiOfEcPoint(oid('1.3.132.0.35'), octetString(point))).toThrow(refusal(/neither P-256 nor P-384/));
});

test('an RSA key is taken with and without zeros before its modulus, and one without a modulus is refused', () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  const key = parseSpki(spki);
  if (key.type !== 'rsa') throw new Error('no RSA key');
  expect(spkiOfRsa(key.modulus, key.exponent)).toEqual(spki);
  expect(spkiOfRsa(Buffer.concat([Buffer.of(0), key.modulus]), Buffer.concat([Buffer.of(0), key.exponent]))).toEqual(
    spki,
  );
  expect(() => spkiOfRsa(new Uint8Array(), key.exponent)).toThrow(refusal(/is no RSA key/));
});

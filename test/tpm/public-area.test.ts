import { describe, expect, test } from 'vitest';
import { AK_TEMPLATES, encodeAkTemplate } from '../../src/tpm/ak-templates.ts';
import { EK_TEMPLATES, encodeEkTemplate, findEkTemplate } from '../../src/tpm/ek-templates.ts';
import { nameOf } from '../../src/tpm/names.ts';
import { encodePublic, type PublicArea, parsePublic } from '../../src/tpm/public-area.ts';
import { MACHINES, readVector, toHex } from './vectors.ts';

const KEYS = ['ek-rsa', 'ek-ecc', 'ak-rsa', 'ak-rsapss', 'ak-ecc'] as const;

describe.each(MACHINES)('the keys of %s', (machine) => {
  test.each(KEYS)('%s is read, written back and named as the TPM did', (key) => {
    const bytes = readVector(machine, `${key}.tpm2b_public`);
    const area = parsePublic(bytes);
    expect(toHex(encodePublic(area))).toBe(toHex(bytes));
    expect(toHex(nameOf(area))).toBe(toHex(readVector(machine, `${key}.name`)));
  });

  test.each([
    ['ek-rsa', 'L-1'],
    ['ek-created', 'L-1'],
    ['ek-ecc', 'H-3'],
    ['ak-ecc', undefined],
  ])('%s was made from template %s', (key, template) => {
    expect(findEkTemplate(parsePublic(readVector(machine, `${key}.tpm2b_public`)))?.name).toBe(template);
  });
});

test.each(EK_TEMPLATES.map((template) => [template.name, template] as const))(
  'template %s is a public area that reads back, and is only itself',
  (name, template) => {
    const area = parsePublic(encodeEkTemplate(template));
    expect(area).toEqual(template.publicArea);
    expect(findEkTemplate(area)?.name).toBe(name);
  },
);

test.each(Object.keys(AK_TEMPLATES) as (keyof typeof AK_TEMPLATES)[])('AK template %s reads back', (name) => {
  expect(parsePublic(encodeAkTemplate(name))).toEqual(AK_TEMPLATES[name]);
});

const ECC = Buffer.from(readVector('direct-kernel', 'ak-ecc.tpm2b_public'));
const RSA = Buffer.from(readVector('direct-kernel', 'ek-rsa.tpm2b_public'));

/** Offsets in ak-ecc: size 0, type 2, nameAlg 4, attributes 6, policy size 10, symmetric 12, scheme 14, hash 16, curve 18, kdf 20, x 22. */
const REFUSED: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['nothing', Buffer.alloc(0), /ends at byte 0/],
  ['a byte behind the TPM2B', Buffer.concat([ECC, Buffer.of(0)]), /followed by 1 bytes/],
  ['a byte behind the TPMT', resized(Buffer.concat([ECC, Buffer.of(0)])), /TPMT_PUBLIC is followed by 1 bytes/],
  ['a cut', ECC.subarray(0, 50), /were announced/],
  ['a symmetric cipher object', patched(ECC, 2, '0025'), /type 0x0025/],
  ['an unknown name algorithm', patched(ECC, 4, '0027'), /hash algorithm 0x0027/],
  ['a reserved attribute', patched(ECC, 6, '01050072'), /0x01000000 are set/],
  ['a policy that is too long', patched(ECC, 10, '0041'), /65 bytes/],
  ['an unknown cipher', patched(ECC, 12, '0026'), /symmetric algorithm 0x0026/],
  ['an RSA scheme on an ECC key', patched(ECC, 14, '0014'), /scheme 0x0014/],
  ['an unknown curve', patched(ECC, 18, '0010'), /curve 0x0010/],
  ['a key derivation scheme', patched(ECC, 20, '0020'), /0x0020 in a public area, which has to be null/],
  ['a coordinate that is too long', patched(ECC, 22, '0021'), /33 bytes/],
  ['AES with 192 bits', patched(RSA, 46, '00c0'), /192 bits/],
  ['AES in CTR mode', patched(RSA, 48, '0040'), /symmetric mode 0x0040/],
];

test.each(REFUSED)('refuses %s', (_what, bytes, message) => {
  expect(() => parsePublic(Uint8Array.from(bytes))).toThrow(
    expect.objectContaining({ code: 'TPM_DATA_INVALID', message: expect.stringMatching(message) }),
  );
});

test('what is read is what is written, whatever one byte becomes', () => {
  for (const original of [ECC, RSA]) {
    for (let offset = 0; offset < original.length; offset++) {
      const bytes = Uint8Array.from(original);
      bytes[offset] = (bytes[offset] ?? 0) ^ 0x11;
      const area = tryParse(bytes);
      if (area !== undefined) {
        expect(toHex(encodePublic(area))).toBe(toHex(bytes));
      }
    }
  }
});

function tryParse(bytes: Uint8Array): PublicArea | undefined {
  try {
    return parsePublic(bytes);
  } catch {
    return undefined;
  }
}

function patched(bytes: Buffer, offset: number, hex: string): Buffer {
  const copy = Buffer.from(bytes);
  Buffer.from(hex, 'hex').copy(copy, offset);
  return copy;
}

function resized(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt16BE(copy.length - 2);
  return copy;
}

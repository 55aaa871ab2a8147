import { describe, expect, test } from 'vitest';
import {
  bitString,
  boolean,
  DerReader,
  decodeOid,
  explicit,
  oid,
  parseDer,
  sequence,
  setOf,
  Tag,
  tlv,
  unsignedInteger,
} from '../../src/x509/der.ts';

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const rejects = (message: RegExp) =>
  expect.objectContaining({ code: 'DER_INVALID', message: expect.stringMatching(message) });

describe('elements', () => {
  const rejected = [
    ['no length', 'X.690 §8.1.1', '30', /DER ends/],
    ['indefinite length', 'X.690 §10.1', '3080 0000', /indefinite/],
    ['long form below 128', 'X.690 §10.1', '30817f', /not minimal/],
    ['leading zero in the length', 'X.690 §10.1', '308200ff', /not minimal/],
    ['leading zero in 3 octets', 'X.690 §10.1', '308300ffff', /not minimal/],
    ['length of 4 octets', 'cap', '308400000001', /4 octets, more than 3/],
    ['length cut off', 'X.690 §8.1.3', '3082ff', /inside the length/],
    ['content cut off', 'X.690 §8.1.1', '300301', /has 3 octets, 1 are left/],
    ['tag number of several octets', 'X.690 §8.1.2.4', '3f2100', /tag number/],
    ['trailing octets', 'X.690 §8.1.1', '300000', /1 octets follow/],
    ['unread content', 'X.690 §8.1.1', '30020500', /2 octets follow the end of the content/],
    ['another tag', 'X.690 §8.1.2', '3100', /has tag 0x31, not 0x30/],
    ['nothing', 'X.690 §8.1.1', '', /DER ends/],
  ] as const;
  test.each(rejected)('rejects %s (%s)', (_rule, _section, der, message) => {
    expect(() => parseDer(hex(der), Tag.sequence, 'it', () => undefined)).toThrow(rejects(message));
  });

  test('refuses what is larger than the cap before reading it', () => {
    expect(() => parseDer(new Uint8Array(11), Tag.sequence, 'it', () => undefined, 10)).toThrow(
      rejects(/more than 10/),
    );
  });

  test('refuses to go deeper than the cap', () => {
    const nested = Array.from({ length: 40 }).reduce<Uint8Array>((inner) => sequence(inner), sequence());
    const descend = (reader: DerReader): void =>
      reader.isAtEnd ? undefined : descend(reader.enter(Tag.sequence, 'it'));
    expect(() => descend(new DerReader(nested))).toThrow(rejects(/deeper/));
  });

  test.each([0, 1, 127, 128, 255, 256, 65535, 65536, 70000])('writes and reads %i octets of content', (length) => {
    const der = tlv(Tag.octetString, new Uint8Array(length).fill(7));
    const reader = new DerReader(der);
    expect(reader.read(Tag.octetString, 'it')).toHaveLength(length);
    reader.requireEnd('it');
  });

  test('an optional element of another tag stays unread', () => {
    const reader = new DerReader(boolean(true));
    expect(reader.readOptional(Tag.integer, 'it')).toBeUndefined();
    expect(reader.readDefaultFalse('it')).toBe(true);
    expect(reader.readDefaultFalse('it')).toBe(false);
  });

  test('sorts a SET OF (X.690 §11.6)', () => {
    expect(toHex(setOf(hex('020102'), hex('020101'), hex('0100')))).toBe('31080100020101020102');
  });

  test('wraps explicitly', () => expect(toHex(explicit(3, hex('0500')))).toBe('a3020500'));
});

describe('primitives', () => {
  const rejected = [
    ['BOOLEAN 01', 'X.690 §11.1', '010101', (r: DerReader) => r.readDefaultFalse('it'), /BOOLEAN/],
    ['BOOLEAN of two octets', 'X.690 §8.2.1', '0102ffff', (r: DerReader) => r.readDefaultFalse('it'), /BOOLEAN/],
    ['INTEGER without octets', 'X.690 §8.3.1', '0200', (r: DerReader) => r.readInteger('it'), /empty INTEGER/],
    ['INTEGER 00 7f', 'X.690 §8.3.2', '0202007f', (r: DerReader) => r.readInteger('it'), /not a minimal/],
    ['INTEGER ff 80', 'X.690 §8.3.2', '0202ff80', (r: DerReader) => r.readInteger('it'), /not a minimal/],
    ['negative where a size belongs', 'ours', '0201ff', (r: DerReader) => r.readSmallInteger('it'), /negative/],
    [
      '2³¹ where a size belongs',
      'ours',
      '02050080000000',
      (r: DerReader) => r.readSmallInteger('it'),
      /negative or above/,
    ],
    ['BIT STRING without octets', 'X.690 §8.6.2', '0300', (r: DerReader) => r.readBitString('it'), /no BIT STRING/],
    ['8 unused bits', 'X.690 §8.6.2.2', '03020800', (r: DerReader) => r.readBitString('it'), /no BIT STRING/],
    ['unused bits set', 'X.690 §11.2.1', '03020101', (r: DerReader) => r.readBitString('it'), /not zero/],
    ['unused bits of nothing', 'X.690 §8.6.2.3', '030101', (r: DerReader) => r.readBitString('it'), /not zero/],
    ['bits where octets belong', 'ours', '03020180', (r: DerReader) => r.readOctetsInBitString('it'), /whole number/],
    ['OID without octets', 'X.690 §8.19.1', '0600', (r: DerReader) => r.readOid('it'), /0 octets/],
    ['OID arc with leading 80', 'X.690 §8.19.2', '0603558001', (r: DerReader) => r.readOid('it'), /not minimal/],
    ['OID cut off', 'X.690 §8.19.2', '060255 81', (r: DerReader) => r.readOid('it'), /inside an arc/],
    ['OID over the cap', 'cap', `068181${'01'.repeat(129)}`, (r: DerReader) => r.readOid('it'), /129 octets/],
  ] as const;
  test.each(rejected)('rejects %s (%s)', (_rule, _section, der, read, message) => {
    expect(() => read(new DerReader(hex(der)))).toThrow(rejects(message));
  });

  test.each([
    ['00', '020100'],
    ['', '020100'],
    ['7f', '02017f'],
    ['80', '02020080'],
    ['0000ff01', '020300ff01'],
  ])('writes the magnitude %s as %s', (magnitude, der) => {
    expect(toHex(unsignedInteger(hex(magnitude)))).toBe(der);
  });

  test.each([0, 1, 127, 128, 255, 256, 2147483647])('reads the size %i', (value) => {
    const octets = Buffer.alloc(4);
    octets.writeUInt32BE(value);
    expect(new DerReader(unsignedInteger(octets)).readSmallInteger('it')).toBe(value);
  });

  test('reads back a BIT STRING of octets', () => {
    expect(toHex(new DerReader(bitString(hex('a55a'))).readOctetsInBitString('it'))).toBe('a55a');
  });
});

describe('OBJECT IDENTIFIER', () => {
  test.each([
    ['0.9.2342.19200300.100.1.25', '060a0992268993f22c640119'],
    ['1.2.840.113549.1.1.11', '06092a864886f70d01010b'],
    ['2.5.29.17', '0603551d11'],
    ['2.23.133.8.1', '060567810508 01'],
    ['2.999.3', '0603883703'],
    ['2.25.329800735698586629295641978511506172918', '061469 83f09da7ebcfdee0c7a1a7b2c0948cc8f9d776'],
  ])('%s', (dotted, der) => {
    expect(toHex(oid(dotted))).toBe(der.replaceAll(' ', ''));
    expect(decodeOid(hex(der).subarray(2))).toBe(dotted);
  });

  test('every pair of first arcs and many later ones come back', () => {
    for (let first = 0; first <= 2; first++) {
      for (let second = 0; second < 40; second++) {
        const dotted = `${first}.${second}.${2 ** 7 - 1}.${2 ** 7}.${2 ** 14}.${2 ** 31}.${2 ** 47}.${2n ** 64n}`;
        expect(decodeOid(oid(dotted).subarray(2))).toBe(dotted);
      }
    }
  });

  test.each(['', '1', '3.1', '1.40', '1.2.', '1.02', 'a.b', '1.-2'])('refuses to write "%s"', (dotted) => {
    expect(() => oid(dotted)).toThrow(rejects(/no OID/));
  });
});

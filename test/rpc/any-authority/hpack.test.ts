import { randomInt } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeHeaderBlock, HpackDecoder } from '../../../src/rpc/any-authority/hpack.ts';
import { Http2ConnectionError } from '../../../src/rpc/any-authority/http2-error.ts';
import { decodeHuffman } from '../../../src/rpc/any-authority/huffman.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const decode = (decoder: HpackDecoder, block: string): string[] =>
  decoder.decode(hex(block)).map(({ name, value }) => `${name}: ${value}`);

// RFC 7541, Appendix C.3 and C.4: three requests on one connection, without and with Huffman coding.
const FIRST = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'];
const SECOND = [...FIRST, 'cache-control: no-cache'];
const THIRD = [
  ':method: GET',
  ':scheme: https',
  ':path: /index.html',
  ':authority: www.example.com',
  'custom-key: custom-value',
];
const examples = [
  [
    'C.3',
    '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
    '8286 84be 5808 6e6f 2d63 6163 6865',
    '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
  ],
  [
    'C.4',
    '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
    '8286 84be 5886 a8eb 1064 9cbf',
    '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
  ],
] as const;

test.each(examples)('decodes the requests of RFC 7541 %s, which refer to one another', (_section, ...blocks) => {
  const decoder = new HpackDecoder();
  expect(blocks.map((block) => decode(decoder, block))).toEqual([FIRST, SECOND, THIRD]);
});

describe('RFC 7541', () => {
  test('a field that is never indexed stays so, and is in no table (§6.2.3, C.2.3)', () => {
    const decoder = new HpackDecoder();
    const [field, ...more] = decoder.decode(hex('1008 7061 7373 776f 7264 0673 6563 7265 74'));
    expect(field).toEqual({ name: 'password', value: 'secret', isNeverIndexed: true });
    expect(more).toEqual([]);
    if (field !== undefined) expect(encodeHeaderBlock([field])[0]).toBe(0x10);
    expect(() => decoder.decode(hex('be'))).toThrow('there is no header field 62');
  });

  test('a field without indexing is in no table (§6.2.2, C.2.2)', () => {
    const decoder = new HpackDecoder();
    expect(decode(decoder, '040c 2f73 616d 706c 652f 7061 7468')).toEqual([':path: /sample/path']);
    expect(() => decoder.decode(hex('be'))).toThrow('there is no header field 62');
  });

  test('the oldest fields leave a table that is full, and one that is made smaller (§4.3, §4.4)', () => {
    const decoder = new HpackDecoder();
    const add = (value: string) => decode(decoder, `40 01 61 01 ${value}`); // 34 bytes each
    add('31');
    add('32');
    add('33');
    expect(decode(decoder, 'be bf c0')).toEqual(['a: 3', 'a: 2', 'a: 1']);
    expect(decode(decoder, '3f25 be bf')).toEqual(['a: 3', 'a: 2']); // 31 + 37 = 68 bytes
    expect(() => decoder.decode(hex('c0'))).toThrow('there is no header field 64');
  });

  test('a field larger than the table empties it (§4.4)', () => {
    const decoder = new HpackDecoder();
    decode(decoder, '40 01 61 01 31');
    decode(decoder, '3f03 40 01 62 01 32'); // 31 + 3 = 34 bytes: just one of them
    expect(decode(decoder, 'be')).toEqual(['b: 2']);
    decode(decoder, '40 02 6262 01 32');
    expect(() => decoder.decode(hex('be'))).toThrow('there is no header field 62');
  });

  const malformed = [
    ['index zero (§6.1)', '80', 'no header field 0'],
    ['an index beyond the tables (§2.3.3)', 'be', 'no header field 62'],
    ['a name beyond the tables', '7f 00 01 61', 'no header field 63'],
    ['a table larger than SETTINGS allow (§6.3)', '3fe2 1f', 'a table of 4097 bytes'],
    ['a size update after a field (§4.2)', '82 20', 'after a header field'],
    ['an integer without an end (§5.1)', 'ff 80 80 80 80 80 80', 'too large'],
    ['an integer of zeros (§5.1)', 'ff 80 80 80 80 00', 'too large'],
    ['an integer that is cut off', 'ff 80', 'ends within a field'],
    ['a string that is cut off (§5.2)', '00 05 61', 'ends within a string'],
    ['a value that is missing', '00 01 61', 'ends within a field'],
    ['EOS in a string (§5.2)', '00 84 ff ff ff ff 00', 'is EOS'],
    ['padding of eight bits (§5.2)', '00 82 1f ff 00', 'wrong padding'],
    ['padding that is not of ones (§5.2)', '00 81 18 00', 'wrong padding'],
  ] as const;
  test.each(malformed)('refuses %s', (_what, block, message) => {
    expect(() => new HpackDecoder().decode(hex(block))).toThrow(
      expect.objectContaining({ name: 'Http2ConnectionError', message: expect.stringContaining(message) }),
    );
  });

  test('a block may not grow beyond 64 KiB by referring to the table', () => {
    const decoder = new HpackDecoder();
    decode(decoder, `40 01 61 7f a1 1e ${'62'.repeat(4000)}`);
    expect(decoder.decode(Buffer.alloc(16, 0xbe))).toHaveLength(16);
    expect(() => decoder.decode(Buffer.alloc(17, 0xbe))).toThrow('headers exceed 65536 bytes');
  });
});

test('what is encoded decodes to the same, whatever its length and bytes', () => {
  const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString('latin1');
  for (const length of [0, 1, 126, 127, 128, 254, 255, 256, 16_511, 16_512, 20_000]) {
    const field = { name: 'n', value: every.repeat(80).slice(0, length), isNeverIndexed: false };
    expect(new HpackDecoder().decode(encodeHeaderBlock([field]))).toEqual([field]);
  }
});

describe('whatever comes', () => {
  const ROUNDS = 20_000;

  test('is decoded or refused, and nothing else happens', () => {
    let decoder = new HpackDecoder();
    for (let round = 0; round < ROUNDS; round++) {
      const block = mutate(hex(examples[1][1 + (round % 3)] ?? ''));
      try {
        decoder.decode(block);
      } catch (error) {
        if (!(error instanceof Http2ConnectionError)) throw error;
        decoder = new HpackDecoder();
      }
    }
  });

  test('text of Huffman codes is shorter than eight fifths of them', () => {
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = mutate(hex('f1e3c2e5f23a6ba0ab90f4ff'));
      try {
        expect(decodeHuffman(bytes).length).toBeLessThanOrEqual((bytes.length * 8) / 5);
      } catch (error) {
        if (!(error instanceof Http2ConnectionError)) throw error;
      }
    }
  });
});

/** Changes, cuts or lengthens it a little. */
function mutate(bytes: Buffer): Buffer {
  const changed = Buffer.concat([bytes, Buffer.from(Array.from({ length: randomInt(4) }, () => randomInt(256)))]);
  for (let change = 0; change < 1 + randomInt(4); change++) changed[randomInt(changed.length)] = randomInt(256);
  return changed.subarray(0, 1 + randomInt(changed.length));
}

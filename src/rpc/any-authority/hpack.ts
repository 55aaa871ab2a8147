import { compressionError } from './hpack-error.ts';
import { bytesOf, type HeaderField, HpackTable } from './hpack-table.ts';
import { Http2ConnectionError, Http2ErrorCode } from './http2-error.ts';
import { decodeHuffman } from './huffman.ts';

/** Of all fields of a block, each with its overhead: what nghttp2 takes at most. */
export const MAX_HEADER_LIST_BYTES = 64 * 1024;
/** No integer of a block that we take needs more, so that what is shifted stays within 32 bits. */
const MAX_INTEGER = 2 ** 20;

/** Decodes the header blocks of one direction of one connection, in the order in which they come. */
export class HpackDecoder {
  readonly #table = new HpackTable();

  /** @throws Http2ConnectionError for a block that is malformed or too large; the decoder is of no use after that. */
  decode(block: Uint8Array): readonly HeaderField[] {
    const reader = new BlockReader(block);
    const fields: HeaderField[] = [];
    let bytes = 0;
    while (!reader.isAtEnd) {
      const first = reader.peek();
      if ((first & 0xe0) === 0x20) {
        if (fields.length > 0) throw compressionError('a table size update comes after a header field'); // RFC 7541 §4.2
        this.#table.resize(reader.integer(5));
        continue;
      }
      const field = this.#field(reader, first);
      bytes += bytesOf(field.name, field.value);
      if (bytes > MAX_HEADER_LIST_BYTES) {
        throw new Http2ConnectionError(Http2ErrorCode.EnhanceYourCalm, `headers exceed ${MAX_HEADER_LIST_BYTES} bytes`);
      }
      fields.push(field);
    }
    return fields;
  }

  /** @see RFC 7541 §6.1 and §6.2 */
  #field(reader: BlockReader, first: number): HeaderField {
    if ((first & 0x80) !== 0) return this.#table.get(reader.integer(7));
    const isAdded = (first & 0x40) !== 0;
    const index = reader.integer(isAdded ? 6 : 4);
    const name = index === 0 ? reader.string() : this.#table.get(index).name;
    const field = { name, value: reader.string(), isNeverIndexed: !isAdded && (first & 0x10) !== 0 };
    if (isAdded) this.#table.add(field);
    return field;
  }
}

class BlockReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  peek(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw compressionError('a header block ends within a field');
    return byte;
  }

  /** @param prefixBits of its first byte. @see RFC 7541 §5.1 */
  integer(prefixBits: number): number {
    const max = 2 ** prefixBits - 1;
    let value = this.#next() & max;
    if (value < max) return value;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#next();
      value += (byte & 0x7f) * 2 ** shift;
      if (value > MAX_INTEGER || shift > 21) throw compressionError('an integer of a header block is too large');
      if ((byte & 0x80) === 0) return value;
    }
  }

  /** @see RFC 7541 §5.2 */
  string(): string {
    const isHuffman = (this.peek() & 0x80) !== 0;
    const length = this.integer(7);
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    if (bytes.length < length) throw compressionError('a header block ends within a string');
    this.#at += length;
    return isHuffman ? decodeHuffman(bytes) : Buffer.from(bytes).toString('latin1');
  }

  #next(): number {
    const byte = this.peek();
    this.#at += 1;
    return byte;
  }
}

/** A header block that leaves the table of whoever decodes it as it is: literals alone. @see RFC 7541 §6.2.2 and §6.2.3 */
export function encodeHeaderBlock(fields: readonly HeaderField[]): Buffer {
  const parts: Buffer[] = [];
  for (const { name, value, isNeverIndexed } of fields) {
    parts.push(Buffer.of(isNeverIndexed ? 0x10 : 0x00));
    for (const text of [name, value]) parts.push(encodeLength(text.length), Buffer.from(text, 'latin1'));
  }
  return Buffer.concat(parts);
}

/** Of a string that is not Huffman-coded. */
function encodeLength(length: number): Buffer {
  if (length < 0x7f) return Buffer.of(length);
  const bytes = [0x7f];
  let rest = length - 0x7f;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

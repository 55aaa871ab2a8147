/** A set of field numbers: bit n is field n. */
export type KeptFields = number;

/** @param numbers from 1 to 30 */
export const fieldsOf = (numbers: readonly number[]): KeptFields =>
  numbers.reduce((kept, number) => kept | (1 << number), 0);

/** Bytes of a tag of one byte and the length after it, at most. */
export const MAX_PREFIX = 6;
const VARINT = 0;
const LENGTH_DELIMITED = 2;

/**
 * Puts messages that we encoded behind each other, as fields of another one.
 *
 * @see Protocol Buffers, "Encoding": only varints and what has a length are met here
 */
export class FieldWriter {
  readonly #bytes: Buffer;
  #length = 0;
  /** Of what is kept of a message: begin and end, again and again. */
  readonly #ranges: number[] = [];

  /** @param size of all that will be written at most, with {@link MAX_PREFIX} for each message. */
  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafe(size);
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  write(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** @param field from 1 to 15 */
  writeMessage(field: number, message: Uint8Array): void {
    this.#writePrefix(field, message.length);
    this.write(message);
  }

  /** Leaves out the other fields of `message`, which has fields up to 30. */
  writeKept(field: number, message: Uint8Array, kept: KeptFields): void {
    const length = this.#findKept(message, kept);
    this.#writePrefix(field, length);
    for (let range = 0; range < this.#ranges.length; range += 2) {
      this.write(message.subarray(this.#ranges[range], this.#ranges[range + 1]));
    }
  }

  #writePrefix(field: number, length: number): void {
    this.#bytes[this.#length++] = (field << 3) | LENGTH_DELIMITED;
    let left = length;
    for (; left >= 0x80; left >>>= 7) this.#bytes[this.#length++] = (left & 0x7f) | 0x80;
    this.#bytes[this.#length++] = left;
  }

  /** @returns how many bytes are kept. */
  #findKept(message: Uint8Array, kept: KeptFields): number {
    this.#ranges.length = 0;
    let length = 0;
    let position = 0;
    const readVarint = (): number => {
      let value = 0;
      for (let shift = 0; ; shift += 7) {
        const octet = message[position++] ?? 0;
        value += (octet & 0x7f) * 2 ** shift;
        if (octet < 0x80) return value;
      }
    };
    while (position < message.length) {
      const start = position;
      const tag = readVarint();
      const wireType = tag & 7;
      const value = readVarint();
      if (wireType === LENGTH_DELIMITED) position += value;
      else if (wireType !== VARINT) throw new Error(`wire type ${wireType} is none that an entry has`);
      if ((kept & (1 << (tag >>> 3))) === 0) continue;
      length += position - start;
      if (this.#ranges.at(-1) === start) this.#ranges[this.#ranges.length - 1] = position;
      else this.#ranges.push(start, position);
    }
    return length;
  }
}

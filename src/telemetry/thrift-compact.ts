/** Types of fields and of elements in Thrift's compact protocol. */
export const COMPACT = { i32: 5, i64: 6, double: 7, binary: 8, list: 9, struct: 12 } as const;
type CompactType = (typeof COMPACT)[keyof typeof COMPACT];

/**
 * Writes Thrift's compact protocol, as far as one-way messages of M3 need it.
 *
 * @see https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 */
export class CompactWriter {
  readonly #bytes: number[] = [];

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  /** Fields are numbered from 1, without a gap: each is one after the last. */
  field(type: CompactType): this {
    this.#bytes.push(0x10 | type);
    return this;
  }

  /** End of a struct. */
  stop(): this {
    this.#bytes.push(0);
    return this;
  }

  i32(value: number): this {
    return this.#varint(BigInt.asUintN(32, (BigInt(value) << 1n) ^ (BigInt(value) >> 31n)));
  }

  i64(value: bigint): this {
    return this.#varint(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)));
  }

  double(value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    this.#bytes.push(...bytes);
    return this;
  }

  text(value: string): this {
    const bytes = Buffer.from(value);
    this.#varint(BigInt(bytes.length));
    this.#bytes.push(...bytes);
    return this;
  }

  list(size: number, type: CompactType): this {
    if (size < 15) this.#bytes.push((size << 4) | type);
    else {
      this.#bytes.push(0xf0 | type);
      this.#varint(BigInt(size));
    }
    return this;
  }

  /** The beginning of a call that nobody answers. */
  oneWay(name: string, sequence: number): this {
    this.#bytes.push(0x82, (4 << 5) | 1);
    return this.#varint(BigInt(sequence)).text(name);
  }

  raw(bytes: Uint8Array): this {
    this.#bytes.push(...bytes);
    return this;
  }

  #varint(value: bigint): this {
    let rest = value;
    while (rest > 0x7fn) {
      this.#bytes.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.#bytes.push(Number(rest));
    return this;
  }
}

/** Writes values as D-Bus lays them out, in little-endian order. Source: D-Bus specification, Marshalling. */
export class DbusWriter {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  byte(value: number): this {
    return this.#add(Buffer.of(value));
  }

  uint32(value: number): this {
    this.pad(4);
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return this.#add(bytes);
  }

  /** A string or an object path. */
  string(value: string): this {
    const text = Buffer.from(value);
    return this.uint32(text.length).#add(text).byte(0);
  }

  signature(value: string): this {
    return this.byte(value.length).#add(Buffer.from(value, 'latin1')).byte(0);
  }

  bytes(value: Uint8Array): this {
    return this.#add(value);
  }

  pad(to: number): this {
    return this.#add(Buffer.alloc((to - (this.#length % to)) % to));
  }

  finish(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  #add(bytes: Uint8Array): this {
    this.#chunks.push(Buffer.from(bytes));
    this.#length += bytes.length;
    return this;
  }
}

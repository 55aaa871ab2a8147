import { SpiffeError } from '../../../plugin-sdk/index.ts';

export type DbusValue = string | number | Uint8Array;

/** Reads the few types that the messages for this plugin have; every length is checked before it is used. */
export class DbusReader {
  readonly #bytes: Buffer;
  readonly #littleEndian: boolean;
  #position: number;

  /** @param position where the value begins; values are aligned from the first byte on. */
  constructor(bytes: Buffer, littleEndian: boolean, position = 0) {
    this.#bytes = bytes;
    this.#littleEndian = littleEndian;
    this.#position = position;
  }

  get position(): number {
    return this.#position;
  }

  byte(): number {
    return this.#take(1).readUInt8();
  }

  uint32(): number {
    this.align(4);
    const bytes = this.#take(4);
    return this.#littleEndian ? bytes.readUInt32LE() : bytes.readUInt32BE();
  }

  /** A string or an object path. */
  string(): string {
    return this.#text(this.uint32());
  }

  signature(): string {
    return this.#text(this.byte());
  }

  byteArray(): Uint8Array {
    return new Uint8Array(this.#take(this.uint32()));
  }

  /** A value with its type before it. @throws SpiffeError `WORKLOAD_UNREADABLE` for a type that no answer to us has */
  variant(): DbusValue {
    const type = this.signature();
    switch (type) {
      case 's':
      case 'o':
        return this.string();
      case 'g':
        return this.signature();
      case 'u':
        return this.uint32();
      case 'ay':
        return this.byteArray();
      default:
        throw malformed(`a value has the type ${JSON.stringify(type)}`);
    }
  }

  align(to: number): void {
    this.#take((to - (this.#position % to)) % to);
  }

  #text(length: number): string {
    const text = this.#take(length + 1);
    if (text[length] !== 0) throw malformed('a text does not end with a zero byte');
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text.subarray(0, length));
    } catch {
      throw malformed('a text is not UTF-8');
    }
  }

  #take(length: number): Buffer {
    const end = this.#position + length;
    if (end > this.#bytes.length) throw malformed('it ends in the middle of a value');
    const taken = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return taken;
  }
}

export function malformed(what: string): SpiffeError {
  return new SpiffeError('WORKLOAD_UNREADABLE', `the D-Bus daemon sent a message that cannot be read: ${what}`);
}

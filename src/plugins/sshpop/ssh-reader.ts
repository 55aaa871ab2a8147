import { SpiffeError } from '../../plugin-sdk/index.ts';

/** Reads the data types of SSH; every length is checked before it is followed. Source: RFC 4251 §5 */
export class SshReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  /** @param what for messages, such as `the SSH certificate` */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** How far was read. */
  get position(): number {
    return this.#at;
  }

  uint32(field: string): number {
    return new DataView(this.#take(4, field).slice().buffer).getUint32(0);
  }

  uint64(field: string): bigint {
    return new DataView(this.#take(8, field).slice().buffer).getBigUint64(0);
  }

  bytes(field: string): Uint8Array {
    return this.#take(this.uint32(field), field);
  }

  /** UTF-8. */
  text(field: string): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.bytes(field));
    } catch (cause) {
      if (cause instanceof SpiffeError) throw cause;
      throw this.#invalid(`has no UTF-8 text as ${field}`, cause);
    }
  }

  /** A positive integer in its one shortest form, big-endian, without the zero that stands for the sign. */
  positiveInteger(field: string): Uint8Array {
    const bytes = this.bytes(field);
    const [first = 0, second = 0] = bytes;
    const isShortest = first !== 0 || second >= 0x80;
    if (bytes.length === 0 || first >= 0x80 || !isShortest) throw this.#invalid(`has no positive integer as ${field}`);
    return first === 0 ? bytes.subarray(1) : bytes;
  }

  requireEnd(): void {
    if (!this.isAtEnd) throw this.#invalid(`has ${this.#bytes.length - this.#at} bytes too many`);
  }

  #take(length: number, field: string): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw this.#invalid(`ends within ${field}`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #invalid(what: string, cause?: unknown): SpiffeError {
    return new SpiffeError('ARGUMENT_INVALID', `${this.#what} ${what}`, { cause });
  }
}

/** A text or bytes with the length before it. */
export function sshString(content: Uint8Array | string): Buffer {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** The inverse of {@link SshReader.positiveInteger}, also for integers with zeros before them. */
export function sshPositiveInteger(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const shortest = first === -1 ? new Uint8Array(0) : bytes.subarray(first);
  return sshString(Buffer.concat([(shortest[0] ?? 0) >= 0x80 ? Buffer.of(0) : Buffer.alloc(0), shortest]));
}

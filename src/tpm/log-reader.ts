import { requireCheck } from '../x509/require-check.ts';

/** Reads the structures of firmware, little-endian, with every length checked before anything is taken. */
export class LogReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  #offset = 0;

  /** @param what names the structure in errors. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  /** Passes over the next `length` bytes, and tells where they begin. @throws SpiffeError `ATTESTATION_DENIED` (D26) */
  skip(length: number): number {
    return this.#advance(length);
  }

  /** The next `length` bytes, which share memory with what is read. @throws SpiffeError `ATTESTATION_DENIED` (D26) */
  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  #advance(length: number): number {
    const start = this.#offset;
    if (length > this.remaining) this.#refuse(length); // a message for each read would cost more than the reading
    this.#offset = start + length;
    return start;
  }
  #refuse(length: number): void {
    requireCheck(
      'D26',
      false,
      `${this.#what} has ${this.remaining} bytes left at byte ${this.#offset}, where ${length} are announced`,
    );
  }
}

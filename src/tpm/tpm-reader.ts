import { SpiffeError } from '../spiffe/error.ts';

/**
 * Reads TPM structures, big-endian, with every offset checked before it is used.
 *
 * @see TPM 2.0 Library, Part 2, §4 (marshalling)
 */
export class TpmReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  #offset = 0;

  /** @param what names the structure in errors, such as `TPMS_ATTEST`. */
  constructor(bytes: Uint8Array, what: string) {
    // Of a Buffer, slice() would not be a copy.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
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
    return this.#view.getUint16(this.#advance(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8));
  }

  /** The next `length` bytes, copied. */
  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.slice(start, start + length);
  }

  /** A TPM2B: a u16 length and as many bytes, at most `maxLength`. */
  sized(maxLength: number): Uint8Array {
    const length = this.u16();
    if (length > maxLength) {
      throw new SpiffeError(
        'TPM_DATA_INVALID',
        `${this.#what} holds a field of ${length} bytes at byte ${this.#offset}, at most ${maxLength} are allowed`,
      );
    }
    return this.take(length);
  }

  /** @throws SpiffeError `TPM_DATA_INVALID` when bytes are left over */
  end(): void {
    if (this.remaining !== 0) {
      throw new SpiffeError(
        'TPM_DATA_INVALID',
        `${this.#what} is followed by ${this.remaining} bytes that belong to nothing`,
      );
    }
  }

  /** @throws SpiffeError `TPM_DATA_INVALID` */
  #advance(length: number): number {
    const start = this.#offset;
    if (length > this.remaining) {
      throw new SpiffeError(
        'TPM_DATA_INVALID',
        `${this.#what} ends at byte ${this.#bytes.length}, but ${length} bytes were announced at byte ${start}`,
      );
    }
    this.#offset = start + length;
    return start;
  }
}

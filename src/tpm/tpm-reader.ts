import { SpiffeError } from '../spiffe/error.ts';

/**
 * Reads TPM structures, big-endian, with every offset checked before it is used.
 *
 * @see TPM 2.0 Library, Part 2, §4 (marshalling)
 */
export class TpmReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;

  /** @param what names the structure in errors, such as `TPMS_ATTEST`. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return Number(this.#number(1));
  }

  u16(): number {
    return Number(this.#number(2));
  }

  u32(): number {
    return Number(this.#number(4));
  }

  u64(): bigint {
    return this.#number(8);
  }

  /** The next `length` bytes, copied. */
  take(length: number): Uint8Array {
    if (length > this.remaining) {
      throw new SpiffeError(
        'TPM_DATA_INVALID',
        `${this.#what} ends at byte ${this.#bytes.length}, but ${length} bytes were announced at byte ${this.#offset}`,
      );
    }
    const taken = this.#bytes.slice(this.#offset, this.#offset + length);
    this.#offset += length;
    return taken;
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

  #number(size: number): bigint {
    let value = 0n;
    for (const byte of this.take(size)) {
      value = (value << 8n) | BigInt(byte);
    }
    return value;
  }
}

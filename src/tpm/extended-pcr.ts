import { hash } from 'node:crypto';
import { TPM_HASHES, type TpmHash } from './algorithms.ts';

/** Banks that can be replayed: SM3 is read over. */
export type ReplayedBank = Exclude<TpmHash, 'sm3'>;

/**
 * What a PCR becomes by what extends it. Values and digests are texts of a byte a character: Node makes a digest as one in
 * half the time of a Buffer, and logs have hundreds of thousands.
 *
 * @see TPM 2.0 Library, Part 1, §17.4 (extend)
 */
export class ExtendedPcr {
  readonly #bank: ReplayedBank;
  readonly #size: number;
  /** The value, and what extends it. */
  readonly #room: Buffer;
  #value: string;

  /** @param start as long as a digest of the bank */
  constructor(bank: ReplayedBank, start: Uint8Array) {
    this.#bank = bank;
    this.#size = TPM_HASHES[bank].size;
    if (start.length !== this.#size) throw new RangeError(`a PCR of the ${bank} bank has ${this.#size} bytes`);
    this.#room = Buffer.alloc(this.#size * 2);
    this.#value = binaryText(start);
  }

  get value(): string {
    return this.#value;
  }

  get bytes(): Uint8Array {
    return new Uint8Array(Buffer.from(this.#value, 'latin1'));
  }

  /** @param digest filled up with zeros where it is shorter than the bank's, as a kernel does with SHA-1 */
  extend(digest: string): void {
    const [room, size] = [this.#room, this.#size];
    if (digest.length > size) throw new RangeError(`a digest of ${digest.length} bytes for a PCR of ${size}`);
    put(this.#value, room, 0);
    put(digest, room, size);
    if (digest.length < size) room.fill(0, size + digest.length);
    this.#value = hash(this.#bank, room, 'binary');
  }
}

/** Of few bytes: a loop takes a tenth of what Buffer's own way does. */
function put(text: string, target: Buffer, offset: number): void {
  for (let index = 0; index < text.length; index++) target[offset + index] = text.charCodeAt(index);
}

/** A character a byte. */
export function binaryText({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('latin1');
}

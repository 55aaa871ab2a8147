import { TPM_HASHES, type TpmHash } from '../algorithms.ts';
import { binaryText } from '../extended-pcr.ts';

/**
 * The digests of an event where they stand in the log: of a thousand events with four digests each, those of one bank are
 * read.
 */
export class EventDigests implements ReadonlyMap<TpmHash, Uint8Array> {
  readonly #log: Buffer;
  /** Of the first algorithm identifier. */
  readonly #start: number;
  /** In the order of the log. */
  readonly #banks: readonly TpmHash[];

  constructor(log: Buffer, start: number, banks: readonly TpmHash[]) {
    this.#log = log;
    this.#start = start;
    this.#banks = banks;
  }

  get size(): number {
    return this.#banks.length;
  }

  has(bank: TpmHash): boolean {
    return this.#banks.includes(bank);
  }

  get(bank: TpmHash): Uint8Array | undefined {
    const at = this.#find(bank);
    return at === undefined ? undefined : this.#log.subarray(at, at + TPM_HASHES[bank].size);
  }

  /** A character a byte. */
  text(bank: TpmHash): string {
    const at = this.#find(bank);
    return at === undefined ? '' : this.#log.toString('latin1', at, at + TPM_HASHES[bank].size);
  }

  forEach(callback: (digest: Uint8Array, bank: TpmHash, map: ReadonlyMap<TpmHash, Uint8Array>) => void): void {
    for (const [bank, digest] of this) callback(digest, bank, this);
  }

  keys(): MapIterator<TpmHash> {
    return new Map(this.#pairs()).keys();
  }

  values(): MapIterator<Uint8Array> {
    return new Map(this.#pairs()).values();
  }

  entries(): MapIterator<[TpmHash, Uint8Array]> {
    return new Map(this.#pairs()).entries();
  }

  [Symbol.iterator](): MapIterator<[TpmHash, Uint8Array]> {
    return this.entries();
  }

  *#pairs(): Iterable<[TpmHash, Uint8Array]> {
    for (const bank of this.#banks) yield [bank, this.get(bank) ?? new Uint8Array()];
  }

  #find(bank: TpmHash): number | undefined {
    let at = this.#start;
    for (const known of this.#banks) {
      at += ALGORITHM_BYTES;
      if (known === bank) return at;
      at += TPM_HASHES[known].size;
    }
    return undefined;
  }
}

const ALGORITHM_BYTES = 2;

/** The digest of a bank as text of a byte a character; empty where there is none. */
export function digestText(digests: ReadonlyMap<TpmHash, Uint8Array>, bank: TpmHash): string {
  if (digests instanceof EventDigests) return digests.text(bank);
  const digest = digests.get(bank);
  return digest === undefined ? '' : binaryText(digest);
}

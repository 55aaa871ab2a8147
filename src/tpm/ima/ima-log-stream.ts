import { requireCheck } from '../../x509/require-check.ts';
import { LogReader } from '../log-reader.ts';
import { type ImaEntry, imaEntryBytes, MAX_IMA_ENTRIES, readImaEntry } from './parse-ima-log.ts';

/** Reads a log that comes in parts, and holds no more than the entry that is not whole yet. */
export class ImaLogStream {
  #rest: Uint8Array = new Uint8Array(0);
  #entryCount: number;
  #byteCount: number;

  /** @param from how many entries and bytes of the log were read before. */
  constructor(from: { readonly entryCount: number; readonly byteCount: number } = { entryCount: 0, byteCount: 0 }) {
    this.#entryCount = from.entryCount;
    this.#byteCount = from.byteCount;
  }

  /** Bytes of the entries that were given out, from the beginning of the log. */
  get byteCount(): number {
    return this.#byteCount;
  }

  /** Bytes of an entry that has only begun. */
  get unread(): number {
    return this.#rest.length;
  }

  /**
   * The entries that are whole by now. What is not taken of them is read with the next part.
   *
   * @returns entries that share memory with the part.
   * @throws SpiffeError `ATTESTATION_DENIED` (E35, E37)
   */
  *push(part: Uint8Array): Generator<ImaEntry> {
    this.#rest = this.#rest.length === 0 ? part : Buffer.concat([this.#rest, part]);
    for (;;) {
      const length = imaEntryBytes(this.#rest, this.#entryCount);
      if (length === undefined || length > this.#rest.length) break;
      requireCheck('E37', this.#entryCount < MAX_IMA_ENTRIES, `the IMA log has more than ${MAX_IMA_ENTRIES} entries`);
      const bytes = this.#rest.subarray(0, length);
      const entry = readImaEntry(new LogReader(bytes, 'the IMA log'), this.#entryCount);
      this.#rest = this.#rest.subarray(length);
      this.#entryCount += 1;
      this.#byteCount += length;
      yield entry;
    }
    this.#rest = Uint8Array.from(this.#rest); // the part itself is let go
  }
}

import { randomUUID } from 'node:crypto';

const COUNTS_A_MILLISECOND = 4096;

/**
 * Makes UUIDs of version 7, each above the one before: new entries then stand side by side in every index by ID, which
 * makes storing them more than twice as cheap as random ones. When an entry was made is no secret.
 *
 * @see RFC 9562 §5.7, §6.2 method 1 with a counter of 12 bits
 */
export class EntryIds {
  readonly #now: () => number;
  #last = 0;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  next(): string {
    this.#last = Math.max(this.#last + 1, this.#now() * COUNTS_A_MILLISECOND);
    const time = Math.floor(this.#last / COUNTS_A_MILLISECOND)
      .toString(16)
      .padStart(12, '0');
    const count = (this.#last % COUNTS_A_MILLISECOND).toString(16).padStart(3, '0');
    const variantAndRandom = randomUUID().slice(19);
    return `${time.slice(0, 8)}-${time.slice(8)}-7${count}-${variantAndRandom}`;
  }
}

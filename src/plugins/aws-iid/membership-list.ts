/** Times that a list is fetched anew within its lifetime for whom it does not have; SPIRE has as many. */
const MOST_EARLY_FETCHES = 5;

/**
 * A list of who belongs to something, fetched when it is asked for and old, and early for whom it does not have: nobody who
 * is not on it can have it fetched at will.
 */
export class MembershipList {
  readonly #fetch: () => Promise<ReadonlySet<string>>;
  readonly #lifetimeMs: number;
  #members: ReadonlySet<string> = new Set();
  #usableUntilMs = 0;
  #earlyFetches = 0;
  #pending: Promise<void> | undefined;

  /** @param fetch has a deadline of its own: it is nobody's alone */
  constructor(fetch: () => Promise<ReadonlySet<string>>, lifetimeMs: number) {
    this.#fetch = fetch;
    this.#lifetimeMs = lifetimeMs;
  }

  /** @throws what fetching throws: whoever is not known to belong does not */
  async has(member: string): Promise<boolean> {
    if (Date.now() >= this.#usableUntilMs) {
      await this.#refresh();
      this.#earlyFetches = 0;
    } else if (!this.#members.has(member) && this.#earlyFetches < MOST_EARLY_FETCHES) {
      this.#earlyFetches++;
      await this.#refresh();
    }
    return this.#members.has(member);
  }

  /** By one fetch for all who ask meanwhile. */
  #refresh(): Promise<void> {
    this.#pending ??= this.#fetch()
      .then((members) => {
        this.#members = members;
        this.#usableUntilMs = Date.now() + this.#lifetimeMs;
      })
      .finally(() => {
        this.#pending = undefined;
      });
    return this.#pending;
  }
}

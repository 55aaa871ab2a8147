/** What was fetched, and until when it may be used. */
export interface Fetched<T> {
  readonly value: T;
  /** Unix milliseconds. */
  readonly usableUntilMs: number;
}

/** A value that is fetched when it is asked for and none is there that may be used: by one fetch for all who ask meanwhile. */
export class LastingValue<T> {
  readonly #fetch: () => Promise<Fetched<T>>;
  #current: Fetched<T> | undefined;
  #pending: Promise<Fetched<T>> | undefined;

  /** @param fetch has a deadline of its own: it is nobody's alone */
  constructor(fetch: () => Promise<Fetched<T>>) {
    this.#fetch = fetch;
  }

  /** @throws what fetching throws; the next who asks has it tried again */
  async get(): Promise<T> {
    if (this.#current !== undefined && Date.now() < this.#current.usableUntilMs) return this.#current.value;
    return await this.renew();
  }

  /** Fetches although there is a value. */
  async renew(): Promise<T> {
    this.#pending ??= this.#fetch().finally(() => {
      this.#pending = undefined;
    });
    this.#current = await this.#pending;
    return this.#current.value;
  }
}

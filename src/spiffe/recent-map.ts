/** A map of so many keys at most: of too many, the one that was set longest ago is forgotten. */
export class RecentMap<Key, Value> {
  readonly #max: number;
  /** The one set last is last. */
  readonly #values = new Map<Key, Value>();

  constructor(max: number) {
    this.#max = max;
  }

  get(key: Key): Value | undefined {
    return this.#values.get(key);
  }

  /** Also of a key that is there, it is the newest then. */
  set(key: Key, value: Value): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    const [oldest] = this.#values.keys();
    if (this.#values.size > this.#max && oldest !== undefined) this.#values.delete(oldest);
  }
}

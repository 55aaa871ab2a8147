/** Lists by the key of their owner. */
export class Lists<T> {
  readonly #byKey = new Map<string, T[]>();

  add(key: string, item: T): void {
    const list = this.#byKey.get(key);
    if (list === undefined) this.#byKey.set(key, [item]);
    else list.push(item);
  }

  of(key: string): readonly T[] {
    return this.#byKey.get(key) ?? [];
  }
}

/** As if the power went: whoever meets it goes no further. */
export class Crash extends Error {}

/**
 * Writes of several parties, counted together: one of them fails, before or after it was done. The parties are the real ones, and
 * so is what they wrote.
 */
export class Faults {
  #writes = 0;
  #failing: { readonly write: number; readonly isDone: boolean } | undefined;

  /** How many there were since the last {@link crashAt}, the one that failed among them. */
  get writes(): number {
    return this.#writes;
  }

  /** @param write the first is 1; undefined: none fails. @param isDone whether it was done when the power went */
  crashAt(write: number | undefined, isDone = false): void {
    this.#writes = 0;
    this.#failing = write === undefined ? undefined : { write, isDone };
  }

  /** The party, whose methods of these names write. Nothing is written after the crash. */
  into<Party extends object>(party: Party, methods: readonly (keyof Party & string)[]): Party {
    const names: readonly (string | symbol)[] = methods;
    return new Proxy(party, {
      get: (_target, name) => {
        const value: unknown = Reflect.get(party, name, party);
        if (typeof value !== 'function') return value;
        const call = (...given: unknown[]) => Reflect.apply(value, party, given);
        return names.includes(name) ? async (...given: unknown[]) => await this.#write(() => call(...given)) : call;
      },
    });
  }

  async #write(work: () => unknown): Promise<unknown> {
    this.#writes += 1;
    const failing = this.#failing;
    if (failing === undefined || this.#writes < failing.write) return await work();
    if (this.#writes === failing.write && failing.isDone) await work();
    throw new Crash(`the power went at write ${failing.write}`);
  }
}

/** The calls that are under way by one channel, so that they can be ended when nobody will answer them. */
export class OpenCalls {
  readonly #cancels = new Set<() => void>();

  get size(): number {
    return this.#cancels.size;
  }

  /** @returns what is to be told that the call has ended. */
  add(cancel: () => void): () => void {
    const own = () => cancel(); // the same function may be there twice
    this.#cancels.add(own);
    return () => this.#cancels.delete(own);
  }

  cancelAll(): void {
    for (const cancel of this.#cancels) cancel();
  }
}

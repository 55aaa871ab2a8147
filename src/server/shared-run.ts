/** Work that many ask for, one run at a time: calls made while it runs wait for its end and share the next. */
export class SharedRun {
  readonly #work: () => Promise<void>;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** The run that ends this begins after the call. */
  run(): Promise<void> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      const running = this.#work();
      this.#running = running.catch(() => {}); // its callers learn of it
      return running;
    });
    return this.#next;
  }
}

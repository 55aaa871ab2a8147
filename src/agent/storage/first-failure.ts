/** Tells of the first of several failures in a row, and when it is over. */
export class FirstFailure {
  #isBroken = false;

  /** Whether it failed the last time. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Runs `work`, which may fail: that is told, and goes no further. */
  async run(
    work: () => Promise<void>,
    onBroken: (error: unknown) => void,
    onMended: () => void = () => {},
  ): Promise<void> {
    const wasBroken = this.#isBroken;
    try {
      await work();
    } catch (error) {
      this.#isBroken = true;
      if (!wasBroken) onBroken(error);
      return;
    }
    this.#isBroken = false;
    if (wasBroken) onMended();
  }
}

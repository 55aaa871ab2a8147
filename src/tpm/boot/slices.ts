/** Runs work that could be interrupted without a break. */
export function runSlices<T>(work: Generator<void, T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

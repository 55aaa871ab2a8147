/**
 * Work that is done in slices, so that its caller can do something else in between: each is to take a millisecond or two at most,
 * whatever a node sends.
 */
export type Sliced<T> = Generator<void, T>;

/** Runs work that could be interrupted without a break. */
export function runSlices<T>(work: Sliced<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

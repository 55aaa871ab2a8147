const FIRST_MS = 1_000;
const LONGEST_MS = 60_000;

/** A duration a tenth longer or shorter, so that the agents of a fleet do not all call at once. */
export function jittered(milliseconds: number): number {
  return milliseconds * (0.9 + Math.random() * 0.2);
}

/** How long to wait after so many failures in a row: a second, doubling to a minute or what is given. */
export function backoffMs(failures: number, longestMs: number = LONGEST_MS): number {
  return jittered(Math.min(FIRST_MS * 2 ** Math.max(failures - 1, 0), longestMs));
}

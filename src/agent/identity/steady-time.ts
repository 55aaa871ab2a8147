/**
 * How far the machine's clock, which somebody may set, is from the one that nobody sets. To be kept with what is received
 * at `now`, for {@link timeFor}.
 *
 * @returns milliseconds
 */
export function steadyOffset(now: Date): number {
  return now.getTime() - performance.now();
}

/**
 * The time by which something that was received at that offset is judged: what the machine's clock says, or later, where
 * that was set back since. So nothing is taken for fresh for longer than it was to be when it came.
 *
 * @param offsetMs of {@link steadyOffset}; undefined where only the machine's clock counts.
 */
export function timeFor(offsetMs: number | undefined, now: Date): Date {
  return offsetMs === undefined ? now : new Date(Math.max(now.getTime(), offsetMs + performance.now()));
}

/** How long until a time comes, by {@link timeFor}: in milliseconds, not above 0 once it has. */
export function msUntil(time: Date, offsetMs: number | undefined, now: Date): number {
  return time.getTime() - timeFor(offsetMs, now).getTime();
}

/** Whether a time has come, by {@link timeFor}. */
export function isPast(time: Date, offsetMs: number | undefined, now: Date): boolean {
  return msUntil(time, offsetMs, now) <= 0;
}

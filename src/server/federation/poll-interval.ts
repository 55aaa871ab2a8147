import type { Bundle } from '../../spiffe/bundle.ts';

/** Nobody polls more often than the first hint asks for, nor less often than the second. */
const SHORTEST_HINT_SECONDS = 60;
const LONGEST_HINT_SECONDS = 24 * 3600;
/** A bundle is asked for so often in the time of its hint, so that one failure is none. SPIRE's. */
const ATTEMPTS_PER_HINT = 4;
/** Where a bundle gives no hint, or there is none. SPIRE's. */
const DEFAULT_INTERVAL_SECONDS = 300;
/** Intervals are this much shorter or longer by chance, so that servers do not poll a partner all at once. */
const JITTER = 0.1;
/** After a failure; twice as long after each further one, up to the interval. */
const FIRST_RETRY_MS = 5_000;
/** A partner that is back is seen within this, however long its hint. */
const LONGEST_RETRY_MS = 300_000;

/**
 * How long until the next poll.
 *
 * @param bundle of the partner, as it is known
 * @param failures one time after the other until now
 * @param chance from 0 to 1
 */
export function pollDelayMs(bundle: Bundle | undefined, failures: number, chance = Math.random()): number {
  const interval = intervalMs(bundle);
  const retry = FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 20);
  const delay = failures === 0 ? interval : Math.min(retry, interval, LONGEST_RETRY_MS);
  return Math.round(delay * (1 - JITTER + 2 * JITTER * chance));
}

function intervalMs(bundle: Bundle | undefined): number {
  const hint = bundle?.refreshHintSeconds ?? 0;
  if (hint === 0) return DEFAULT_INTERVAL_SECONDS * 1000;
  return (Math.min(Math.max(hint, SHORTEST_HINT_SECONDS), LONGEST_HINT_SECONDS) * 1000) / ATTEMPTS_PER_HINT;
}

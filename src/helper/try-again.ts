import { setTimeout as pause } from 'node:timers/promises';
import { backoffMs } from '../rpc/backoff.ts';

const LONGEST_MS = 15_000;
/** What `setTimeout` takes, with room for jitter. */
const LONGEST_PAUSE_MS = 2 ** 30;

/**
 * Does something again and again until the signal: where it ended well, after the pause that it asks for; where it failed,
 * after a second, doubling to a quarter of a minute.
 *
 * @param work tells by `onProgress` that the back-off is to begin anew, and returns the pause in milliseconds
 */
export async function tryAgain(
  work: (onProgress: () => void) => Promise<number>,
  onFailure: (error: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  const onProgress = () => {
    failures = 0;
  };
  while (!signal.aborted) {
    let waitMs: number;
    try {
      waitMs = await work(onProgress);
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      onFailure(error);
      failures++;
      waitMs = backoffMs(failures, LONGEST_MS);
    }
    await pause(Math.min(waitMs, LONGEST_PAUSE_MS), undefined, { signal }).catch(() => undefined);
  }
}

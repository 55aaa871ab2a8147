import { setTimeout as wait } from 'node:timers/promises';

/** Ends early, without an error, once `signal` is aborted. */
export async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await wait(ms, undefined, { signal }).catch(() => {});
}

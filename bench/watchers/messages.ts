import type { Target } from '../driver/job.ts';

export type ToWatchers =
  /** Has so many agents attest, and listen. */
  | { readonly kind: 'start'; readonly target: Target; readonly count: number; readonly aliasPath: string }
  /** Forgets the times of the syncs so far. */
  | { readonly kind: 'mark' }
  | { readonly kind: 'report' };

/** Times are of the clock that all processes have in common, in milliseconds. */
export type FromWatchers =
  /** With the path of each agent's SPIFFE ID. */
  | { readonly kind: 'ready'; readonly paths: readonly string[] }
  | { readonly kind: 'failed'; readonly reason: string }
  /** When each agent that was told of something had synced, the first time since the mark. */
  | { readonly kind: 'synced'; readonly timesMs: readonly number[] }
  | { readonly kind: 'ended'; readonly path: string; readonly timeMs: number; readonly reason: string }
  | { readonly kind: 'marked' };

/** CLOCK_MONOTONIC, which does not depend on the process. */
export function sharedNowMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

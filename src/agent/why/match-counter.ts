import type { CountMatchesResponse } from '../../gen/assayer/server/explain/v1/explain.ts';
import { TokenBucket } from '../../rpc/token-bucket.ts';
import { RecentMap } from '../../spiffe/recent-map.ts';
import { digestOfSelectors, type Selector } from '../../spiffe/selector.ts';
import type { SyncFailure } from '../sync/sync-status.ts';

export interface CountedMatches {
  /** Absent where the server was not asked, or did not say. */
  readonly counts?: CountMatchesResponse;
  readonly failure?: SyncFailure;
  /** It would have been asked, were it not asked so often. */
  readonly isHeldBack?: boolean;
}

export type AskServer = (selectors: readonly Selector[]) => Promise<CountedMatches>;

const KEPT_MS = 10_000;
const MAX_KEPT = 100;
const A_SECOND = 1;

/**
 * Asks the server on behalf of whoever has no identity, which every process may be: one question at a time, one a
 * second, and not again what was answered just now.
 */
export class MatchCounter {
  readonly #ask: AskServer;
  readonly #bucket = new TokenBucket(A_SECOND);
  /** By the digest of the selectors. */
  readonly #kept = new RecentMap<string, { readonly answer: CountedMatches; readonly until: number }>(MAX_KEPT);
  #inFlight: { readonly key: string; readonly answer: Promise<CountedMatches> } | undefined;

  constructor(ask: AskServer) {
    this.#ask = ask;
  }

  async count(selectors: readonly Selector[]): Promise<CountedMatches> {
    const key = digestOfSelectors(selectors);
    const kept = this.#kept.get(key);
    if (kept !== undefined && performance.now() < kept.until) return kept.answer;
    if (this.#inFlight?.key === key) return await this.#inFlight.answer;
    if (this.#inFlight !== undefined || !this.#bucket.takeNow()) return { isHeldBack: true };
    const answer = this.#ask(selectors);
    this.#inFlight = { key, answer };
    try {
      return this.#keep(key, await answer);
    } finally {
      this.#inFlight = undefined;
    }
  }

  #keep(key: string, answer: CountedMatches): CountedMatches {
    if (answer.counts === undefined) return answer;
    this.#kept.set(key, { answer, until: performance.now() + KEPT_MS });
    return answer;
  }
}

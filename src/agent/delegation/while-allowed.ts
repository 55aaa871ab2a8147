import { SpiffeError } from '../../spiffe/error.ts';
import type { WorkloadCache } from '../workloads/workload-cache.ts';

export interface WhileAllowedOptions {
  readonly cache: Pick<WorkloadCache, 'changes'>;
  readonly signal: AbortSignal;
  /** Throws what the stream ends with. */
  check(): void;
}

/** Processes end, and certificates expire, without a word. */
const CHECK_MS = 1_000;

/** What `watch` yields, while `check` lets it: before each value, whenever the cache changes, and once a second. */
export async function* whileAllowed<Value>(
  watch: (signal: AbortSignal) => AsyncIterable<Value>,
  { cache, signal, check }: WhileAllowedOptions,
): AsyncGenerator<Value> {
  const ending = new AbortController();
  const either = AbortSignal.any([signal, ending.signal]);
  let refusal: unknown;
  const look = () => {
    if (ending.signal.aborted) return;
    try {
      check();
    } catch (error) {
      refusal = error;
      ending.abort(OVER);
    }
  };
  const following = lookAtEveryChange(cache, either, look);
  const timer = setInterval(look, CHECK_MS);
  try {
    for await (const value of watch(either)) {
      look();
      if (ending.signal.aborted) break;
      yield value;
    }
    if (refusal !== undefined) throw refusal;
  } finally {
    clearInterval(timer);
    ending.abort(OVER);
    await following;
  }
}

/** One for all: a reason of its own would be an error with a stack for every stream. */
const OVER = new SpiffeError('CANCELLED', 'the stream has ended');

async function lookAtEveryChange(
  cache: Pick<WorkloadCache, 'changes'>,
  signal: AbortSignal,
  look: () => void,
): Promise<void> {
  for await (const _ of cache.changes(signal)) look();
}

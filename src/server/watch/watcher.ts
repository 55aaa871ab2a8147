import type { AttestedAgent } from '../../datastore/agent-rows.ts';
import type { TlsPeer } from '../../rpc/peer.ts';

/** What one agent is to be told of. */
export interface Changes {
  readonly entries: boolean;
  readonly bundles: boolean;
  /** The only entries that have changed; undefined where any may have. */
  readonly entryIds?: ReadonlySet<string> | undefined;
}

/** An agent that has more to ask for asks for everything. */
export const MAX_ENTRY_IDS = 500;

const NOTHING: Changes = { entries: false, bundles: false };

/** One agent's open stream. However much changes while its answer is on the way, the next one tells it all. */
export class Watcher {
  readonly peer: TlsPeer;
  /** As the datastore has it, as far as is known here. */
  agent: AttestedAgent;
  readonly since: Date;
  /** When the agent was last looked at, by the clock that only goes forward. */
  reviewedAtMs = performance.now();
  #pending: Changes | undefined = NOTHING; // the first answer tells that the watch is on
  #end: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(agent: AttestedAgent, peer: TlsPeer, since: Date) {
    this.agent = agent;
    this.peer = peer;
    this.since = since;
  }

  tell(changes: Changes): void {
    this.#pending = bothOf(this.#pending ?? NOTHING, changes);
    this.#wake?.();
  }

  /** A sign of life. */
  beat(): void {
    this.tell(NOTHING);
  }

  /** Ends the stream with an error, whatever was to be told. */
  end(error: unknown): void {
    this.#end ??= { error };
    this.#wake?.();
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** What to tell next. @returns undefined once `signal` is aborted. @throws what it was ended with. */
  async next(signal: AbortSignal): Promise<Changes | undefined> {
    while (this.#pending === undefined && this.#end === undefined && !signal.aborted) await this.#change(signal);
    if (this.#end !== undefined) throw this.#end.error;
    if (signal.aborted) return undefined;
    const changes = this.#pending;
    this.#pending = undefined;
    return changes;
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#wake = undefined;
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#wake = wake;
      signal.addEventListener('abort', wake);
    });
  }
}

/** Both in one. */
export function bothOf(a: Changes, b: Changes): Changes {
  return { entries: a.entries || b.entries, bundles: a.bundles || b.bundles, entryIds: bothIds(a, b) };
}

function bothIds(a: Changes, b: Changes): ReadonlySet<string> | undefined {
  if (!a.entries) return b.entryIds;
  if (!b.entries) return a.entryIds;
  if (a.entryIds === undefined || b.entryIds === undefined) return undefined;
  const ids = new Set([...a.entryIds, ...b.entryIds]);
  return ids.size > MAX_ENTRY_IDS ? undefined : ids;
}

import type { AttestedAgent } from '../../datastore/agent-rows.ts';
import { WatchDefinition } from '../../gen/assayer/server/watch/v1/watch.ts';
import type { CallContext } from '../../rpc/call.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { encodeAuthorizedEntries } from '../api/encoded-entries.ts';
import type { CachedEntry } from '../cached-entry.ts';
import { HEARTBEAT_SECONDS, type WatchHub } from './watch-hub.ts';
import { MAX_ENTRY_IDS } from './watcher.ts';

export interface WatchServiceOptions {
  readonly hub: WatchHub;
  /** Finds an entry by its id among those that the agent that calls may sign for. */
  readonly authorizedEntry: (context: CallContext) => (id: string) => CachedEntry | undefined;
  /** Of the entries that a sync is answered with. */
  readonly entryRevision: () => number;
  /** The agent that calls. */
  readonly callingAgent: (context: CallContext) => AttestedAgent;
}

/** Tells agents of changes as they happen. SPIRE has nothing like it. */
export function watchService(options: WatchServiceOptions): BoundService {
  const { hub, entryRevision, callingAgent, authorizedEntry } = options;
  return bindService(WatchDefinition, {
    async *watchChanges(_request, context) {
      const { peer, signal } = context;
      if (peer.kind !== 'tls') throw new SpiffeError('PERMISSION_DENIED', 'the caller is not an agent');
      const watcher = hub.add(callingAgent(context), peer);
      try {
        await hub.review([watcher.agent.spiffeId]); // what changed since the caller was looked at was told to nobody
        for (let sequence = 1n; ; sequence += 1n) {
          const changes = await watcher.next(signal);
          if (changes === undefined) return;
          yield {
            sequence,
            ...changes,
            entryIds: [...(changes.entryIds ?? [])],
            entryRevision: BigInt(entryRevision()),
            heartbeatSeconds: HEARTBEAT_SECONDS,
          };
        }
      } finally {
        hub.remove(watcher);
      }
    },
    async findEntries({ ids, outputMask }, context) {
      if (ids.length > MAX_ENTRY_IDS) {
        throw new SpiffeError('ARGUMENT_INVALID', `${ids.length} entries are named: ${MAX_ENTRY_IDS} at most`);
      }
      const find = authorizedEntry(context);
      return encodeAuthorizedEntries(
        [...new Set(ids)].flatMap((id) => find(id) ?? []),
        outputMask,
      );
    },
  });
}

import type { AttestedAgent } from '../../datastore/agent-rows.ts';
import { WatchDefinition } from '../../gen/assayer/server/watch/v1/watch.ts';
import type { CallContext } from '../../rpc/call.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { HEARTBEAT_SECONDS, type WatchHub } from './watch-hub.ts';

export interface WatchServiceOptions {
  readonly hub: WatchHub;
  /** Of the entries that a sync is answered with. */
  readonly entryRevision: () => number;
  /** The agent that calls. */
  readonly callingAgent: (context: CallContext) => AttestedAgent;
}

/** Tells agents of changes as they happen. SPIRE has nothing like it. */
export function watchService({ hub, entryRevision, callingAgent }: WatchServiceOptions): BoundService {
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
          const entryRev = BigInt(entryRevision());
          yield { sequence, ...changes, entryRevision: entryRev, heartbeatSeconds: HEARTBEAT_SECONDS };
        }
      } finally {
        hub.remove(watcher);
      }
    },
  });
}

import type { AttestedAgent } from '../datastore/agent-rows.ts';
import type { CallContext } from '../rpc/call.ts';
import type { BoundService } from '../rpc/service.ts';
import { datastoreService } from './api/datastore-service.ts';
import { applyService } from './apply/apply-service.ts';
import { attemptsService } from './attempts/attempts-service.ts';
import type { Access } from './authorization/access.ts';
import type { CachedEntry } from './cached-entry.ts';
import { explainService } from './explain/explain-service.ts';
import { historyService } from './reattestation/history-service.ts';
import { reattestService } from './reattestation/reattest-service.ts';
import type { ServerServicesOptions } from './services.ts';
import { watchService } from './watch/watch-service.ts';

/** What agents and administrators of ours can ask, and SPIRE's server does not answer. */
export function ownServices(
  {
    config,
    datastore,
    entries,
    watch,
    attempts,
    attestors,
    metrics,
    history,
    reattestation,
    clock,
    log,
  }: ServerServicesOptions,
  callingAgent: (context: CallContext) => AttestedAgent,
  authorizedEntry: (context: CallContext) => (id: string) => CachedEntry | undefined,
  access: (context: CallContext) => Access,
): readonly BoundService[] {
  const { trustDomain } = config;
  const { hub, syncs } = watch;
  const { agents, bundles } = datastore;
  return [
    watchService({
      hub,
      entryRevision: () => entries.sequence,
      callingAgent,
      authorizedEntry: (context) => {
        syncs.record(callingAgent(context).spiffeId);
        return authorizedEntry(context);
      },
    }),
    explainService({ agents, bundles, cache: entries, trustDomain, hub, syncs, callingAgent, clock }),
    reattestService({
      agents,
      attestors,
      settings: reattestation,
      agentIdAsSelector: config.experimental.agentSpiffeIdAsSelector,
      callingAgent,
      history,
      metrics,
      clock,
      log,
    }),
    historyService({ verdicts: datastore.verdicts, access }),
    attemptsService(attempts),
    applyService({ datastore, cache: entries, trustDomain, log }),
    datastoreService(datastore),
  ];
}

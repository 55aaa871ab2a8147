import type { AgentRepository } from '../../datastore/agent-repository.ts';
import type { AttestedAgent } from '../../datastore/agent-rows.ts';
import type { BundleRepository } from '../../datastore/bundle-repository.ts';
import {
  type AgentState,
  Effect_Kind as ApiKind,
  ExplainDefinition,
  Reached,
} from '../../gen/assayer/server/explain/v1/explain.ts';
import type { CallContext } from '../../rpc/call.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { requireValidSelector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { toApiEntry } from '../api/api-entry.ts';
import { fromApiAgentId, fromApiWorkloadId, toApiId } from '../api/api-ids.ts';
import type { EntryCache } from '../entry-cache.ts';
import type { WatchHub } from '../watch/watch-hub.ts';
import { checkChanges } from './checked-changes.ts';
import { countMatches } from './count-matches.ts';
import { explainEntries } from './explain-entries.ts';
import { type EffectKind, previewEntries } from './preview-entries.ts';
import type { SyncLog } from './sync-log.ts';

export interface ExplainServiceOptions {
  readonly agents: AgentRepository;
  readonly bundles: BundleRepository;
  readonly cache: EntryCache;
  readonly trustDomain: TrustDomain;
  readonly hub: WatchHub;
  readonly syncs: SyncLog;
  /** The agent that calls. */
  readonly callingAgent: (context: CallContext) => AttestedAgent;
  readonly clock: () => Date;
}

const MAX_SELECTORS = 1000;
const MAX_CHANGES = 1000;

const KINDS: Readonly<Record<EffectKind, ApiKind>> = {
  gains: ApiKind.GAINS,
  loses: ApiKind.LOSES,
  changes: ApiKind.CHANGES,
};

/** Says who gets what and why, or would. SPIRE has nothing like it. */
export function explainService(options: ExplainServiceOptions): BoundService {
  const { cache, trustDomain, hub, syncs, clock } = options;
  const stateOf = (spiffeId: SpiffeId, agent: AttestedAgent | undefined): AgentState => {
    const expiresAt = Math.max(agent?.expiresAt ?? 0, agent?.newExpiresAt ?? 0);
    return {
      id: toApiId(spiffeId),
      attested: agent !== undefined,
      banned: agent?.banned ?? false,
      expired: agent !== undefined && expiresAt * 1000 <= clock().getTime(),
      expiresAt: BigInt(expiresAt),
      selectors: (agent?.selectors ?? []).map(({ type, value }) => ({ type, value })),
      watching: hub.find(spiffeId) !== undefined,
      syncedAt: BigInt(Math.floor((syncs.find(spiffeId)?.at.getTime() ?? 0) / 1000)),
    };
  };
  return bindService(ExplainDefinition, {
    async explainEntries({ spiffeId: wantedId, agentId: wantedAgent, selectors }) {
      if (wantedId === undefined && wantedAgent === undefined && selectors.length === 0) {
        throw new SpiffeError('ARGUMENT_INVALID', 'give a SPIFFE ID, an agent ID or selectors to explain');
      }
      requireFew('selectors', selectors, MAX_SELECTORS);
      selectors.forEach(requireValidSelector);
      const spiffeId = wantedId && fromApiWorkloadId(wantedId, trustDomain);
      const agentId = wantedAgent && fromApiAgentId(wantedAgent, trustDomain);
      const { agent, entries, leftOut } = await explainEntries(
        { ...(spiffeId && { spiffeId }), ...(agentId && { agentId }), selectors },
        options,
      );
      return {
        agent: agentId && stateOf(agentId, agent),
        entries: entries.map(({ entry, missing, holders, ...rest }) => ({
          ...rest,
          entry: toApiEntry(entry, undefined),
          missing: missing.map(({ type, value }) => ({ type, value })),
          holders: holders.map(({ agent: holder, way }) => ({
            agent: stateOf(holder.spiffeId, holder),
            chain: way.chain.map(toApiId),
            aliasEntryId: way.alias?.id ?? '',
            reached: toReached(syncs.hasSeen(holder.spiffeId, way.entries)),
          })),
        })),
        leftOut,
      };
    },
    async countMatches({ selectors }, context) {
      requireFew('selectors', selectors, MAX_SELECTORS);
      selectors.forEach(requireValidSelector);
      const { spiffeId, selectors: ofNode } = options.callingAgent(context);
      const now = Math.floor(clock().getTime() / 1000);
      const { signal } = context;
      return await countMatches({ spiffeId, selectors: ofNode }, selectors, { cache, syncs, now, signal });
    },
    async previewEntries(wanted) {
      requireFew('changes', [...wanted.create, ...wanted.update, ...wanted.delete], MAX_CHANGES);
      const { items } = await options.bundles.list();
      const bundles = new Set(items.map((bundle) => bundle.trustDomain));
      const { results, changes } = checkChanges(wanted, { cache, trustDomain, bundles });
      const { effects, notAttested, agents, agentsLeftOut } = await previewEntries(changes, options);
      return {
        results: [...results],
        effects: effects.map(({ kind, entry, agents: named, agentCount }) => ({
          kind: KINDS[kind],
          entry: toApiEntry(entry, undefined),
          agents: named.map(toApiId),
          agentCount,
        })),
        agents,
        agentsLeftOut,
        notAttested: notAttested.map(toApiId),
      };
    },
  });
}

function toReached(hasSeen: boolean | undefined): Reached {
  if (hasSeen === undefined) return Reached.UNKNOWN;
  return hasSeen ? Reached.REACHED : Reached.NOT_YET;
}

function requireFew(what: string, list: readonly unknown[], most: number): void {
  if (list.length > most) throw new SpiffeError('TOO_LARGE', `${list.length} ${what} are more than ${most}`);
}

import { setImmediate } from 'node:timers/promises';
import type { AgentRepository } from '../../datastore/agent-repository.ts';
import type { RegistrationEntry } from '../../spiffe/entry.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { CachedEntry } from '../cached-entry.ts';
import type { EntryCache, Holders } from '../entry-cache.ts';
import { findHolders } from './holders.ts';

export type EffectKind = 'gains' | 'loses' | 'changes';

/** What happens to one entry for some agents. */
export interface Effect {
  readonly kind: EffectKind;
  readonly entry: RegistrationEntry;
  readonly agents: readonly SpiffeId[];
  readonly agentCount: number;
}

export interface Preview {
  readonly effects: readonly Effect[];
  readonly agents: number;
  readonly agentsLeftOut: number;
  readonly notAttested: readonly SpiffeId[];
}

export interface PreviewOptions {
  readonly agents: AgentRepository;
  readonly cache: EntryCache;
  readonly clock: () => Date;
}

/** Of a change that concerns more agents, so many are looked at one by one: the others are counted. */
const MAX_AGENTS = 1000;
const MAX_NAMED = 20;
const MAX_EFFECTS = 1000;

/**
 * What the agents that some changes concern may sign for before and after them.
 *
 * @param changes an absent entry is one that is deleted
 */
export async function previewEntries(
  changes: ReadonlyMap<string, RegistrationEntry | undefined>,
  { agents, cache, clock }: PreviewOptions,
): Promise<Preview> {
  const concerned = await findHolders(concernedBy(changes, cache), agents, MAX_AGENTS);
  const now = Math.floor(clock().getTime() / 1000);
  const effects = new Map<string, { kind: EffectKind; entry: RegistrationEntry; agents: SpiffeId[]; count: number }>();
  const add = (kind: EffectKind, entry: RegistrationEntry, agent: SpiffeId) => {
    const key = `${kind} ${entry.id}`;
    const known = effects.get(key) ?? { kind, entry, agents: [], count: 0 };
    if (known.agents.length < MAX_NAMED) known.agents.push(agent);
    known.count += 1;
    if (effects.has(key) || effects.size < MAX_EFFECTS) effects.set(key, known);
  };
  const candidates = [...concerned.agents, ...concerned.notAttested.map((spiffeId) => ({ spiffeId, selectors: [] }))];
  for (const { spiffeId, selectors } of candidates) {
    const signable = () => new Map(cache.authorizedEntries(spiffeId, selectors, now).map((entry) => [entry.id, entry]));
    const before = signable();
    const after = cache.whatIf(changes, signable);
    for (const [id, entry] of before) if (!after.has(id)) add('loses', entry, spiffeId);
    for (const [id, entry] of after) {
      if (!before.has(id)) add('gains', entry, spiffeId);
      else if (changes.has(id)) add('changes', entry, spiffeId);
    }
    await setImmediate(); // the server has others to answer
  }
  return {
    effects: [...effects.values()].map(({ count, ...effect }) => ({ ...effect, agentCount: count })),
    agents: concerned.agents.length,
    agentsLeftOut: concerned.leftOut,
    notAttested: concerned.notAttested,
  };
}

/** Holders of what changes, as it is and as it would be. */
function concernedBy(changes: ReadonlyMap<string, RegistrationEntry | undefined>, cache: EntryCache): Holders {
  const agents = new Set<SpiffeId>();
  const aliases = new Set<CachedEntry>();
  const collect = () => {
    for (const id of changes.keys()) {
      const entry = cache.find(id);
      if (entry === undefined) continue;
      const holders = cache.holdersOf(entry);
      for (const agent of holders.agents) agents.add(agent);
      for (const alias of holders.aliases) aliases.add(alias);
    }
  };
  collect();
  cache.whatIf(changes, collect);
  return { agents, aliases };
}

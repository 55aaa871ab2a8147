import { missingSelectors, selectorSet } from '../../spiffe/nearly-matching.ts';
import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import { isAgentId, type SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { CachedEntry } from '../cached-entry.ts';
import type { EntryCache } from '../entry-cache.ts';

/** Somebody who may be an agent, with what attestation found of it. */
export interface Node {
  readonly spiffeId: SpiffeId;
  readonly selectors: readonly Selector[];
}

/** How an agent comes to sign for an entry. */
export interface EntryWay {
  /** From the agent's ID down to the entry's parent ID. */
  readonly chain: readonly SpiffeId[];
  /** Gives the agent the second ID of the chain; absent where the chain starts at the agent itself. */
  readonly alias: CachedEntry | undefined;
  /** All entries that have to be there: the alias, those in between, the entry itself. */
  readonly entries: readonly CachedEntry[];
}

/** The shortest way from an agent down to an entry. @param now Unix seconds. */
export function findWay(cache: EntryCache, node: Node, entry: CachedEntry, now: number): EntryWay | undefined {
  interface Step {
    readonly entry: CachedEntry;
    readonly below: Step | undefined;
  }
  const steps: Step[] = [{ entry, below: undefined }];
  const visited = new Set([entry.id]);
  for (const step of steps) {
    // A list that grows is walked to its end: the nearest first.
    const { parentId, expiresAt } = step.entry;
    if (expiresAt !== 0 && expiresAt <= now) continue;
    const above = cache.entriesOf(parentId).filter(({ expiresAt: end }) => end === 0 || end > now);
    const alias = above.find((one) => one.parentId === cache.serverId && missingOf(one, node.selectors).length === 0);
    if (parentId === node.spiffeId || alias !== undefined) {
      const entries: CachedEntry[] = [];
      for (let next: Step | undefined = step; next !== undefined; next = next.below) entries.push(next.entry);
      const parents = entries.map((one) => one.parentId);
      const isOwn = parentId === node.spiffeId;
      return {
        chain: isOwn ? parents : [node.spiffeId, ...parents],
        alias: isOwn ? undefined : alias,
        entries: isOwn || alias === undefined ? entries : [alias, ...entries],
      };
    }
    for (const one of above) {
      if (visited.has(one.id) || one.parentId === cache.serverId) continue;
      visited.add(one.id);
      steps.push({ entry: one, below: step });
    }
  }
  return undefined;
}

/** What an entry asks for that is not among `have`. */
export function missingOf({ selectors }: CachedEntry, have: readonly Selector[]): readonly Selector[] {
  return missingSelectors(selectors, selectorSet(have));
}

/** Why an agent, or nobody at all, comes to sign for an entry, in a sentence. */
export function whyNot(cache: EntryCache, node: Node | undefined, entry: CachedEntry, now: number): string {
  if (entry.expiresAt !== 0 && entry.expiresAt <= now) return 'it has expired';
  if (entry.parentId === cache.serverId) return 'it is an entry for nodes: it gives agents another ID, and no SVID';
  const { agents, aliases } = cache.holdersOf(entry);
  if (agents.size === 0 && aliases.size === 0) {
    return isAgentId(entry.parentId)
      ? `its parent ${entry.parentId} is not attested`
      : `its parent ${entry.parentId} is no agent, and no entry for nodes gives an agent that ID`;
  }
  if (node === undefined)
    return 'no attested agent has its parent ID, or the selectors of an entry for nodes that gives it';
  const [nearest] = [...aliases]
    .map((alias) => ({ alias, missing: missingOf(alias, node.selectors) }))
    .toSorted((a, b) => a.missing.length - b.missing.length);
  if (nearest === undefined) {
    const [other] = agents;
    return agents.size === 1 ? `it is for agent ${other} alone` : `it is for ${agents.size} other agents`;
  }
  const { alias, missing } = nearest;
  if (missing.length === 0) return `an entry on the way from ${alias.spiffeId} has expired`;
  return `entry ${alias.id} would give this agent the ID ${alias.spiffeId}, and the agent lacks ${missing.map(formatSelector).join(', ')}`;
}

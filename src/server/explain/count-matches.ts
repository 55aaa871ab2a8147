import { setImmediate } from 'node:timers/promises';
import { missingSelectors, selectorSet } from '../../spiffe/nearly-matching.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { CachedEntry } from '../cached-entry.ts';
import type { EntryCache } from '../entry-cache.ts';
import { findWay, missingOf, type Node } from './entry-way.ts';
import type { SyncLog } from './sync-log.ts';

export interface MatchCounts {
  known: number;
  notSynced: number;
  expired: number;
  ofOtherAgents: number;
  nodeLacksSelectors: number;
  withoutParent: number;
}

export interface CountOptions {
  readonly cache: EntryCache;
  readonly syncs: SyncLog;
  /** Unix seconds. */
  readonly now: number;
  /** Of the caller. */
  readonly signal: AbortSignal;
}

/** Other calls have their turn after so many entries. */
const PIECE = 1_000;

/** Sorts the entries that a workload of a node has all selectors of by what stands between them. */
export async function countMatches(
  node: Node,
  selectors: readonly Selector[],
  options: CountOptions,
): Promise<MatchCounts> {
  const counts = {
    known: 0,
    notSynced: 0,
    expired: 0,
    ofOtherAgents: 0,
    nodeLacksSelectors: 0,
    withoutParent: 0,
  };
  const have = selectorSet(selectors);
  /** An entry that is replaced meanwhile comes once more, at the end. */
  const counted = new Set<string>();
  let looks = 0;
  for (const entry of options.cache.all) {
    looks += 1;
    if (looks % PIECE === 0) await setImmediate(undefined, { signal: options.signal });
    if (entry.selectors.length === 0 || entry.parentId === options.cache.serverId) continue;
    if (counted.has(entry.id) || missingSelectors(entry.selectors, have).length > 0) continue;
    counted.add(entry.id);
    counts[kindOf(node, entry, options)] += 1;
  }
  return counts;
}

function kindOf(node: Node, entry: CachedEntry, { cache, syncs, now }: CountOptions): keyof MatchCounts {
  if (entry.expiresAt !== 0 && entry.expiresAt <= now) return 'expired';
  const way = findWay(cache, node, entry, now);
  if (way !== undefined) return syncs.hasSeen(node.spiffeId, way.entries) === true ? 'known' : 'notSynced';
  const { agents, aliases } = cache.holdersOf(entry);
  if ([...aliases].some((alias) => missingOf(alias, node.selectors).length > 0)) return 'nodeLacksSelectors';
  return agents.size > 0 ? 'ofOtherAgents' : 'withoutParent';
}

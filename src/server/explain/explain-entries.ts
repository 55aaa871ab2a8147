import type { AgentRepository } from '../../datastore/agent-repository.ts';
import type { AttestedAgent } from '../../datastore/agent-rows.ts';
import {
  byNearness,
  type ComparedSelectors,
  isNearMatch,
  missingSelectors,
  selectorSet,
} from '../../spiffe/nearly-matching.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { CachedEntry } from '../cached-entry.ts';
import type { EntryCache } from '../entry-cache.ts';
import { type EntryWay, findWay, missingOf, type Node, whyNot } from './entry-way.ts';
import { findHolders } from './holders.ts';

export interface Question {
  /** Only entries that give this. */
  readonly spiffeId?: SpiffeId;
  readonly agentId?: SpiffeId;
  /** Of a workload; none: not asked. */
  readonly selectors: readonly Selector[];
}

export interface ExplainedEntry {
  readonly entry: CachedEntry;
  readonly matches: boolean;
  readonly expired: boolean;
  readonly missing: readonly Selector[];
  readonly holders: readonly { readonly agent: AttestedAgent; readonly way: EntryWay }[];
  readonly holderCount: number;
  readonly whyNot: string;
}

export interface Explanation {
  /** Absent where none was asked for, or it is not attested. */
  readonly agent: AttestedAgent | undefined;
  readonly entries: readonly ExplainedEntry[];
  readonly leftOut: number;
}

export interface ExplainOptions {
  readonly agents: AgentRepository;
  readonly cache: EntryCache;
  readonly clock: () => Date;
}

const MAX_ENTRIES = 25;
const MAX_HOLDERS = 10;

/** Finds entries that match a question or nearly do. */
export async function explainEntries(question: Question, options: ExplainOptions): Promise<Explanation> {
  const { agents, cache, clock } = options;
  const { agentId, selectors } = question;
  const agent = agentId === undefined ? undefined : await agents.find(agentId);
  const node = agent ?? (agentId === undefined ? undefined : { spiffeId: agentId, selectors: [] });
  const now = Math.floor(clock().getTime() / 1000);
  const ranked = candidatesOf(question, node, cache, now)
    .map((entry) => {
      const missing = selectors.length === 0 ? [] : missingOf(entry, selectors);
      const way = node === undefined ? undefined : findWay(cache, node, entry, now);
      const expired = entry.expiresAt !== 0 && entry.expiresAt <= now;
      const isForNode = node === undefined || way !== undefined;
      return { entry, missing, way, expired, matches: missing.length === 0 && isForNode && !expired, isForNode };
    })
    .toSorted(
      (a, b) =>
        Number(b.matches) - Number(a.matches) ||
        byNearness(compared(a), compared(b)) ||
        Number(b.isForNode) - Number(a.isForNode) ||
        (a.entry.spiffeId < b.entry.spiffeId ? -1 : 1),
    );
  const entries: ExplainedEntry[] = [];
  for (const { way, isForNode, ...found } of ranked.slice(0, MAX_ENTRIES)) {
    if (node !== undefined) {
      const holders = agent === undefined || way === undefined ? [] : [{ agent, way }];
      const reason = isForNode && !found.expired ? '' : whyNot(cache, node, found.entry, now);
      entries.push({ ...found, holders, holderCount: holders.length, whyNot: reason });
      continue;
    }
    const all = await findHolders(cache.holdersOf(found.entry), agents, MAX_HOLDERS);
    const isForNodes = found.entry.parentId === cache.serverId;
    const holders = all.agents.flatMap((holder) => {
      const wayDown = isForNodes ? aliasWay(holder, found.entry) : findWay(cache, holder, found.entry, now);
      return wayDown === undefined ? [] : [{ agent: holder, way: wayDown }];
    });
    const reason = holders.length > 0 && !found.expired ? '' : whyNot(cache, undefined, found.entry, now);
    entries.push({ ...found, holders, holderCount: holders.length + all.leftOut, whyNot: reason });
  }
  return { agent, entries, leftOut: ranked.length - entries.length };
}

function compared({ entry, missing }: Pick<ExplainedEntry, 'entry' | 'missing'>): ComparedSelectors {
  return { wanted: entry.selectors.length, missing: missing.length };
}

/** Who an entry for nodes gives its ID. */
function aliasWay({ spiffeId }: AttestedAgent, entry: CachedEntry): EntryWay {
  return { chain: [spiffeId], alias: entry, entries: [entry] };
}

function candidatesOf(
  { spiffeId, selectors }: Question,
  node: Node | undefined,
  cache: EntryCache,
  now: number,
): readonly CachedEntry[] {
  if (spiffeId !== undefined) return cache.entriesOf(spiffeId);
  const own = node === undefined ? [] : cache.authorizedEntries(node.spiffeId, node.selectors, now);
  if (selectors.length === 0) return own;
  const have = selectorSet(selectors);
  const lacks = (entry: CachedEntry) => missingSelectors(entry.selectors, have).length;
  const isNear = (entry: CachedEntry) => isNearMatch({ wanted: entry.selectors.length, missing: lacks(entry) });
  if (node === undefined) return [...cache.all].filter((entry) => entry.parentId !== cache.serverId && isNear(entry));
  // Of other agents' entries, only those that the workload would have there.
  const others = [...cache.all].filter((entry) => entry.parentId !== cache.serverId && lacks(entry) === 0);
  return [...new Set([...own.filter(isNear), ...others])];
}

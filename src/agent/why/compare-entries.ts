import { byNearness, isNearMatch, missingSelectors, selectorSet } from '../../spiffe/nearly-matching.ts';
import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';

/** An entry under this agent, as one workload sees it. */
export interface ComparedEntry {
  readonly entry: AuthorizedEntry;
  readonly matches: boolean;
  readonly missing: readonly Selector[];
  /** By `type:value` of a missing one: what the workload has that differs only in case and in dashes. */
  readonly misspelled: ReadonlyMap<string, Selector>;
}

/** Entries that match a workload, then those that nearly do, the nearest and the misspelled first. */
export function compareEntries(
  entries: Iterable<AuthorizedEntry>,
  selectors: readonly Selector[],
  nowSeconds: number,
): readonly ComparedEntry[] {
  const have = selectorSet(selectors);
  const bySpelling = new Map(selectors.map((selector) => [spelling(selector), selector]));
  const compared: ComparedEntry[] = [];
  for (const entry of entries) {
    if (entry.selectors.length === 0 || isForNodes(entry)) continue;
    const missing = missingSelectors(entry.selectors, have);
    if (entry.storeSvid && missing.length > 0) continue; // it is for a store, as it should be
    if (!isNearMatch({ wanted: entry.selectors.length, missing: missing.length })) continue;
    const isExpired = entry.expiresAt !== 0 && entry.expiresAt <= nowSeconds;
    const misspelled = new Map(
      missing.flatMap((selector) => {
        const known = bySpelling.get(spelling(selector));
        return known === undefined ? [] : [[formatSelector(selector), known] as const];
      }),
    );
    const matches = missing.length === 0 && !isExpired && !entry.storeSvid;
    compared.push({ entry, matches, missing, misspelled });
  }
  return compared.toSorted(
    (a, b) =>
      Number(b.matches) - Number(a.matches) ||
      lacking(a) - lacking(b) ||
      byNearness(counts(a), counts(b)) ||
      (a.entry.spiffeId < b.entry.spiffeId ? -1 : 1),
  );
}

/** The server makes such an entry for the agent of a join token that has an ID: it asks for an agent. */
function isForNodes({ selectors }: AuthorizedEntry): boolean {
  return selectors.some(({ type }) => type === 'spiffe_id');
}

/** The SPIFFE IDs that such entries give an agent besides its own: they are the parent of entries, too. */
export function aliasesOf(agentId: SpiffeId, entries: Iterable<AuthorizedEntry>): readonly SpiffeId[] {
  const aliases: SpiffeId[] = [];
  for (const { spiffeId, selectors } of entries) {
    const [only, ...more] = selectors;
    if (more.length === 0 && only?.type === 'spiffe_id' && only.value === agentId) aliases.push(spiffeId);
  }
  return aliases;
}

/** What is missing by another reason than its spelling. */
function lacking({ missing, misspelled }: ComparedEntry): number {
  return missing.length - misspelled.size;
}

function counts({ entry, missing }: ComparedEntry) {
  return { wanted: entry.selectors.length, missing: missing.length };
}

/** `k8s:pod_name:Web` and `k8s:pod-name:web` are alike. */
function spelling(selector: Selector): string {
  return formatSelector(selector).toLowerCase().replaceAll('_', '-');
}

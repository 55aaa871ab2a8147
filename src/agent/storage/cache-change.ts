import type { Bundle } from '../../spiffe/bundle.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import { entryDifference } from '../workloads/entry-difference.ts';
import { isSameMap, mapDifference } from '../workloads/map-difference.ts';
import type { CacheContent } from '../workloads/workload-cache.ts';
import type { WorkloadX509Svid } from '../workloads/workload-x509-svid.ts';

/** What makes one content of the cache another. */
export interface CacheChange {
  /** New, or other than before. */
  readonly entries: readonly AuthorizedEntry[];
  /** Ids. */
  readonly goneEntries: readonly string[];
  readonly svids: readonly WorkloadX509Svid[];
  /** Ids of their entries. */
  readonly goneSvids: readonly string[];
  /** All of them; undefined where none is other than before. */
  readonly bundles: readonly Bundle[] | undefined;
}

/** @returns undefined where both are the same. Values that did not change are the same objects. */
export function findChange(before: CacheContent, after: CacheContent): CacheChange | undefined {
  const ofEntries = entryDifference(before.entries, after.entries);
  const ofSvids = mapDifference(before.svids, after.svids);
  const change: CacheChange = {
    entries: [...ofEntries.added, ...ofEntries.changed.map((one) => one.after)],
    goneEntries: ofEntries.removed.map(({ id }) => id),
    svids: [...ofSvids.added, ...ofSvids.changed.map((one) => one.after)],
    goneSvids: ofSvids.removed.map(({ entryId }) => entryId),
    bundles: isSameMap(before.bundles, after.bundles) ? undefined : [...after.bundles.values()],
  };
  const { entries, goneEntries, svids, goneSvids, bundles } = change;
  const isNone = [entries, goneEntries, svids, goneSvids].every(({ length }) => length === 0) && bundles === undefined;
  return isNone ? undefined : change;
}

/** The inverse of {@link findChange}. */
export function withChange(before: CacheContent, change: CacheChange): CacheContent {
  const entries = new Map(before.entries);
  const svids = new Map(before.svids);
  for (const id of change.goneEntries) entries.delete(id);
  for (const id of change.goneSvids) svids.delete(id);
  for (const entry of change.entries) entries.set(entry.id, entry);
  for (const svid of change.svids) svids.set(svid.entryId, svid);
  const bundles =
    change.bundles === undefined
      ? before.bundles
      : new Map(change.bundles.map((bundle) => [bundle.trustDomain, bundle] as const));
  return { entries, svids, bundles };
}

import type { Bundle } from '../../spiffe/bundle.ts';
import { isTrustedX509Svid } from '../../spiffe/trusted-svid.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import type { WorkloadX509Svid } from './workload-x509-svid.ts';

export interface SvidPlanOptions {
  readonly entries: ReadonlyMap<string, AuthorizedEntry>;
  readonly svids: ReadonlyMap<string, WorkloadX509Svid>;
  /** Entries that somebody is connected for: theirs are always kept. */
  readonly watched: ReadonlySet<string>;
  /** For workloads. */
  readonly maxSize: number;
  /** Names of the SVID stores: what they keep, they are always given. */
  readonly stores: ReadonlySet<string>;
  readonly now: Date;
}

/** Which SVIDs to keep, and for which entries to get one. */
export interface SvidPlan {
  readonly kept: ReadonlyMap<string, WorkloadX509Svid>;
  readonly wanted: readonly AuthorizedEntry[];
}

/** SVIDs are kept ready for as many entries as the cache may hold, and renewed when due. Inventory C106. */
export function planSvids({ entries, svids, watched, maxSize, stores, now }: SvidPlanOptions): SvidPlan {
  const all = [...entries.values()];
  const stored = all.filter(({ storeSvid, selectors: [first] }) => storeSvid && stores.has(first?.type ?? ''));
  const chosen = [...chooseEntries(all, watched, maxSize), ...stored];
  const kept = new Map<string, WorkloadX509Svid>();
  const wanted: AuthorizedEntry[] = [];
  for (const entry of chosen) {
    const svid = svids.get(entry.id);
    const belongs = svid !== undefined && svid.spiffeId === entry.spiffeId && svid.createdAt === entry.createdAt;
    if (belongs) kept.set(entry.id, svid); // served until its successor is there
    if (!belongs || svid.revisionNumber !== entry.revisionNumber || now >= svid.rotateAt) wanted.push(entry);
  }
  return { kept, wanted };
}

function chooseEntries(
  entries: readonly AuthorizedEntry[],
  watched: ReadonlySet<string>,
  maxSize: number,
): readonly AuthorizedEntry[] {
  const candidates = entries.filter(({ storeSvid }) => !storeSvid);
  const needed = candidates.filter(({ id }) => watched.has(id));
  const others = candidates.filter(({ id, disableX509SvidPrefetch }) => !watched.has(id) && !disableX509SvidPrefetch);
  return [...needed, ...others.slice(0, Math.max(maxSize - needed.length, 0))];
}

/** The SVIDs, with those due at once that the authorities of a new bundle, tainted ones left out, do not verify. */
export function withDistrusted(
  svids: ReadonlyMap<string, WorkloadX509Svid>,
  bundle: Bundle,
  now: Date,
): ReadonlyMap<string, WorkloadX509Svid> {
  return new Map(
    [...svids].map(([id, svid]) => [
      id,
      isTrustedX509Svid(svid.chain, bundle, now) ? svid : { ...svid, rotateAt: now },
    ]),
  );
}

import type { Bundle } from '../../spiffe/bundle.ts';
import { isTrustedX509Svid } from '../../spiffe/trusted-svid.ts';
import { isPast } from '../identity/steady-time.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import type { WorkloadX509Svid } from './workload-x509-svid.ts';

export interface SvidPlanOptions {
  readonly entries: ReadonlyMap<string, AuthorizedEntry>;
  readonly svids: ReadonlyMap<string, WorkloadX509Svid>;
  /** Entries that somebody is connected for: theirs are always kept. */
  readonly watched: ReadonlySet<string>;
  /** Entries that somebody was connected for, by id: the higher the number, the later. */
  readonly lastUsed: ReadonlyMap<string, number>;
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

/**
 * SVIDs are kept ready for as many entries as the cache may hold, and renewed when due; those that were used last stay
 * longest. Inventory B005, C106.
 */
export function planSvids(options: SvidPlanOptions): SvidPlan {
  const { entries, svids, watched, stores, now } = options;
  const all = [...entries.values()];
  const stored = all.filter(({ storeSvid, selectors: [first] }) => storeSvid && stores.has(first?.type ?? ''));
  const kept = new Map<string, WorkloadX509Svid>();
  const wanted: AuthorizedEntry[] = [];
  for (const entry of [...chooseEntries(all, options), ...stored]) {
    const svid = svids.get(entry.id);
    const belongs = svid !== undefined && svid.spiffeId === entry.spiffeId && svid.createdAt === entry.createdAt;
    const isFresh =
      belongs && svid.revisionNumber === entry.revisionNumber && !isPast(svid.rotateAt, svid.steadyOffsetMs, now);
    const isRenewed = entry.storeSvid || watched.has(entry.id) || !entry.disableX509SvidPrefetch;
    if (belongs && (isFresh || isRenewed)) kept.set(entry.id, svid); // served until its successor is there
    if (!isFresh && isRenewed) wanted.push(entry);
  }
  return { kept, wanted };
}

function chooseEntries(
  entries: readonly AuthorizedEntry[],
  { watched, lastUsed, svids, maxSize }: SvidPlanOptions,
): readonly AuthorizedEntry[] {
  const candidates = entries.filter(({ storeSvid }) => !storeSvid);
  const needed = candidates.filter(({ id }) => watched.has(id));
  const others = candidates.filter(({ id, disableX509SvidPrefetch }) => {
    return !watched.has(id) && (!disableX509SvidPrefetch || svids.has(id));
  });
  const room = Math.max(maxSize - needed.length, 0);
  if (others.length <= room) return [...needed, ...others];
  const used = ({ id }: AuthorizedEntry) => lastUsed.get(id) ?? 0;
  const ready = ({ id }: AuthorizedEntry) => (svids.has(id) ? 1 : 0); // whatever order the server has: no other is signed for instead
  const ranked = others.toSorted((a, b) => used(b) - used(a) || ready(b) - ready(a));
  return [...needed, ...ranked.slice(0, room)];
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

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
  const { svids, watched, now } = options;
  const kept = new Map<string, WorkloadX509Svid>();
  const wanted: AuthorizedEntry[] = [];
  for (const entry of chooseEntries(options)) {
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

/** Those that SVIDs are kept ready for: what the stores keep, what is watched, and of the others as many as there is room for. */
function chooseEntries(options: SvidPlanOptions): readonly AuthorizedEntry[] {
  const { entries, watched, lastUsed, svids, maxSize, stores } = options;
  const needed: AuthorizedEntry[] = [];
  const stored: AuthorizedEntry[] = [];
  /** Used before, or with an SVID: whatever order the server has, no other is signed for instead. */
  const known: AuthorizedEntry[] = [];
  const others: AuthorizedEntry[] = [];
  for (const entry of entries.values()) {
    const { id, storeSvid, selectors, disableX509SvidPrefetch } = entry;
    if (storeSvid) {
      if (stores.has(selectors[0]?.type ?? '')) stored.push(entry);
    } else if (watched.has(id)) needed.push(entry);
    else if (svids.has(id)) known.push(entry);
    else if (disableX509SvidPrefetch) continue;
    else if (lastUsed.has(id)) known.push(entry);
    else if (others.length < maxSize) others.push(entry);
  }
  const room = Math.max(maxSize - needed.length, 0);
  const used = ({ id }: AuthorizedEntry) => lastUsed.get(id) ?? 0;
  const ready = ({ id }: AuthorizedEntry) => (svids.has(id) ? 1 : 0);
  if (known.length > room) known.sort((a, b) => used(b) - used(a) || ready(b) - ready(a));
  const chosen = known.slice(0, room);
  return [...needed, ...chosen, ...others.slice(0, room - chosen.length), ...stored];
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

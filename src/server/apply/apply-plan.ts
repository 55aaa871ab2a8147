import { entryIdentity } from '../../datastore/entry-identity.ts';
import type { NewEntry } from '../../datastore/entry-repository.ts';
import type { RegistrationEntry } from '../../spiffe/entry.ts';
import { compareSelectors, formatSelector } from '../../spiffe/selector.ts';

export interface ApplyOptions {
  readonly set: string;
  readonly prune: boolean;
  readonly adopt: boolean;
}

/** What the datastore has, as far as it concerns the wanted entries. */
export interface Stored {
  /** Entries with the ID or the identity of one that is wanted, and all of the set, by ID. */
  readonly entries: ReadonlyMap<string, RegistrationEntry>;
  /** The sets of those that have one. */
  readonly sets: ReadonlyMap<string, string>;
}

export type PlannedChange =
  | { readonly kind: 'create'; readonly wanted: NewEntry; readonly index: number }
  | {
      readonly kind: 'update' | 'adopt';
      readonly before: RegistrationEntry;
      readonly wanted: NewEntry;
      readonly fields: readonly string[];
      readonly index: number;
    }
  | { readonly kind: 'delete'; readonly before: RegistrationEntry };

export interface Problem {
  readonly index: number;
  readonly message: string;
}

export interface ApplyPlan {
  readonly changes: readonly PlannedChange[];
  readonly unchanged: number;
  readonly notPruned: number;
  readonly problems: readonly Problem[];
}

/** What has to be done for a set to have the wanted entries. */
export function planApply(wanted: readonly NewEntry[], stored: Stored, options: ApplyOptions): ApplyPlan {
  const byIdentity = new Map([...stored.entries.values()].map((entry) => [entryIdentity(entry), entry]));
  const changes: PlannedChange[] = [];
  const problems: Problem[] = [];
  const kept = new Set<string>();
  let unchanged = 0;
  const first = new Map<string, number>();
  for (const [index, entry] of wanted.entries()) {
    const identity = entryIdentity(entry);
    const names = [identity, ...(entry.id === '' ? [] : [`id ${entry.id}`])];
    const twice = names.map((name) => first.get(name)).find((other) => other !== undefined);
    for (const name of names) first.set(name, index);
    if (twice !== undefined) {
      problems.push({
        index,
        message: `it is given twice: entry ${twice + 1} has the same ID, or parent ID, SPIFFE ID and selectors`,
      });
      continue;
    }
    const before = entry.id === '' ? byIdentity.get(identity) : stored.entries.get(entry.id);
    if (before === undefined) {
      const same = byIdentity.get(identity);
      if (same === undefined) changes.push({ kind: 'create', wanted: entry, index });
      else
        problems.push({
          index,
          message: `entry "${same.id}" has its parent ID, SPIFFE ID and selectors: give that ID, or none`,
        });
      if (same !== undefined) kept.add(same.id);
      continue;
    }
    kept.add(before.id);
    const set = stored.sets.get(before.id);
    if (set !== undefined && set !== options.set) {
      problems.push({
        index,
        message: `entry "${before.id}" is of the set "${set}": leave it to that one, or delete it there`,
      });
    } else if (set === undefined && !options.adopt) {
      problems.push({
        index,
        message: `entry "${before.id}" was not made from files: delete it, or take it into the set with -adopt`,
      });
    } else {
      const fields = differences(before, entry);
      if (set === undefined) changes.push({ kind: 'adopt', before, wanted: entry, fields, index });
      else if (fields.length > 0) changes.push({ kind: 'update', before, wanted: entry, fields, index });
      else unchanged += 1;
    }
  }
  const others = [...stored.entries.values()].filter(({ id }) => stored.sets.get(id) === options.set && !kept.has(id));
  const leaving = new Set(options.prune ? others.map(({ id }) => id) : []);
  for (const change of changes) {
    if (change.kind !== 'update' && change.kind !== 'adopt') continue;
    const same = byIdentity.get(entryIdentity(change.wanted));
    if (same === undefined || same.id === change.before.id || leaving.has(same.id)) continue;
    problems.push({ index: change.index, message: `entry "${same.id}" has its parent ID, SPIFFE ID and selectors` });
  }
  if (options.prune) changes.push(...others.map((before) => ({ kind: 'delete' as const, before })));
  return { changes, unchanged, notPruned: options.prune ? 0 : others.length, problems };
}

/** Names of what an update would change, as in the API. */
function differences(before: RegistrationEntry, wanted: NewEntry): readonly string[] {
  const selectorsOf = (entry: NewEntry) => [...entry.selectors].sort(compareSelectors).map(formatSelector);
  const compared: Readonly<Record<string, (entry: NewEntry) => unknown>> = {
    spiffe_id: ({ spiffeId }) => spiffeId,
    parent_id: ({ parentId }) => parentId,
    selectors: selectorsOf,
    x509_svid_ttl: ({ x509SvidTtlSeconds }) => x509SvidTtlSeconds,
    jwt_svid_ttl: ({ jwtSvidTtlSeconds }) => jwtSvidTtlSeconds,
    federates_with: ({ federatesWith }) => [...new Set(federatesWith)].sort(),
    admin: ({ admin }) => admin,
    downstream: ({ downstream }) => downstream,
    store_svid: ({ storeSvid }) => storeSvid,
    expires_at: ({ expiresAt }) => expiresAt,
    dns_names: ({ dnsNames }) => dnsNames,
    hint: ({ hint }) => hint,
    additional_attributes: ({ disableX509SvidPrefetch, jwtSvidIncludeJti }) => [
      disableX509SvidPrefetch,
      jwtSvidIncludeJti,
    ],
  };
  return Object.entries(compared)
    .filter(([, read]) => JSON.stringify(read(before)) !== JSON.stringify(read(wanted)))
    .map(([name]) => name);
}

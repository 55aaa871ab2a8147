import type { Status as ApiStatus, Entry } from '../../gen/spire/api/types/types.ts';
import type { RegistrationEntry } from '../../spiffe/entry.ts';
import { requireValidEntry } from '../../spiffe/entry.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { compareSelectors, formatSelector } from '../../spiffe/selector.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { fromApiEntry } from '../api/api-entry.ts';
import { ITEM_OK, itemStatus } from '../api/item-status.ts';
import type { EntryCache } from '../entry-cache.ts';

export interface CheckedChanges {
  /** One for each change that was asked for, in the order of creations, updates, deletions. */
  readonly results: readonly ApiStatus[];
  /** Those that would be made, by entry ID; an absent entry is one that is deleted. */
  readonly changes: ReadonlyMap<string, RegistrationEntry | undefined>;
}

export interface WantedChanges {
  readonly create: readonly Entry[];
  readonly update: readonly Entry[];
  readonly delete: readonly string[];
}

export interface CheckOptions {
  readonly cache: EntryCache;
  readonly trustDomain: TrustDomain;
  /** Trust domains that an entry can federate with. */
  readonly bundles: ReadonlySet<TrustDomain>;
}

/** Says of each change whether it would be made, without making it. */
export function checkChanges(wanted: WantedChanges, { cache, trustDomain, bundles }: CheckOptions): CheckedChanges {
  const changes = new Map<string, RegistrationEntry | undefined>();
  /** Of what is in `changes` and stays, made once each: there may be many selectors. */
  const identities = new Map<string, string>();
  const add = (id: string, entry: RegistrationEntry | undefined) => {
    changes.set(id, entry);
    if (entry === undefined) identities.delete(id);
    else identities.set(id, identityOf(entry));
  };
  const check = (work: () => void): ApiStatus => {
    try {
      work();
      return ITEM_OK;
    } catch (error) {
      return itemStatus(error);
    }
  };
  const requireMakeable = (entry: RegistrationEntry) => {
    requireValidEntry(entry, trustDomain);
    const missing = entry.federatesWith.find((name) => !bundles.has(name));
    if (missing !== undefined) {
      throw new SpiffeError(
        'FAILED_PRECONDITION',
        `trust domain "${missing}" has no bundle here: set it before an entry federates with it`,
      );
    }
    const identity = identityOf(entry);
    const isTaken =
      cache.entriesOf(entry.spiffeId).some((other) => other.id !== entry.id && identityOf(other) === identity) ||
      [...identities].some(([id, other]) => id !== entry.id && other === identity);
    if (isTaken) throw new SpiffeError('ALREADY_EXISTS', 'similar entry already exists');
  };
  const results = [
    ...wanted.create.map((entry, index) =>
      check(() => {
        const checked = { ...fromApiEntry(entry), revisionNumber: 0, createdAt: 0 };
        requireMakeable(checked);
        const id = checked.id === '' ? `new-${index}` : checked.id;
        if (cache.find(id) !== undefined || changes.has(id)) {
          throw new SpiffeError('ALREADY_EXISTS', `entry ID "${id}" is that of another entry: choose another one`);
        }
        add(id, { ...checked, id });
      }),
    ),
    ...wanted.update.map((entry) =>
      check(() => {
        const current = requireEntry(entry.id, cache);
        const updated = { ...current, ...fromApiEntry(entry), revisionNumber: current.revisionNumber + 1 };
        requireMakeable(updated);
        add(entry.id, updated);
      }),
    ),
    ...wanted.delete.map((id) =>
      check(() => {
        requireEntry(id, cache);
        add(id, undefined);
      }),
    ),
  ];
  return { results, changes };
}

function requireEntry(id: string, cache: EntryCache): RegistrationEntry {
  const entry = cache.find(id);
  if (entry === undefined) throw new SpiffeError('ENTRY_NOT_FOUND', `no registration entry "${id.slice(0, 255)}"`);
  return entry;
}

/** Two entries with the same parent ID, SPIFFE ID and selector set are the same entry. */
function identityOf({ parentId, spiffeId, selectors }: RegistrationEntry): string {
  return JSON.stringify([parentId, spiffeId, [...selectors].sort(compareSelectors).map(formatSelector)]);
}

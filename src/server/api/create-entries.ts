import type { CreatedEntry, EntryRepository, NewEntry } from '../../datastore/entry-repository.ts';
import type { Status as ApiStatus, Entry } from '../../gen/spire/api/types/types.ts';
import { type RegistrationEntry, requireValidEntry } from '../../spiffe/entry.ts';
import { isSpiffeError } from '../../spiffe/error.ts';
import { Status } from '../../spiffe/status.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { fromApiEntry } from './api-entry.ts';
import { ITEM_OK, itemStatus } from './item-status.ts';

export interface CreateEntryResult {
  readonly status: ApiStatus;
  /** Absent where it failed; where a similar one exists, that. */
  readonly entry: RegistrationEntry | undefined;
  /** What the datastore did, where it did not refuse. */
  readonly stored?: CreatedEntry;
}

interface EntryRules {
  readonly trustDomain: TrustDomain;
  /** Throws to refuse an entry to whoever asks for it. */
  readonly require: (entry: NewEntry) => void;
}

/** Creates each entry that can be created. One transaction does for all of them, unless the datastore refuses one. */
export async function createEntries(
  wanted: readonly Entry[],
  { entries, ...rules }: EntryRules & { readonly entries: EntryRepository },
): Promise<readonly CreateEntryResult[]> {
  const checked = wanted.map((entry) => check(entry, rules));
  const valid = checked.filter((one): one is NewEntry => !('status' in one));
  const created = await createTogether(valid, entries);
  if (created === undefined) {
    const results: CreateEntryResult[] = [];
    for (const one of checked) results.push('status' in one ? one : await createAlone(one, entries));
    return results;
  }
  const rest = created.values();
  return checked.map((one) => {
    if ('status' in one) return one;
    const next = rest.next();
    if (next.done) throw new Error('the datastore left an entry out');
    return toResult(next.value);
  });
}

function check(entry: Entry, { trustDomain, require }: EntryRules): NewEntry | CreateEntryResult {
  try {
    const checked = fromApiEntry(entry);
    requireValidEntry({ ...checked, revisionNumber: 0, createdAt: 0 }, trustDomain);
    require(checked);
    return checked;
  } catch (error) {
    return { status: itemStatus(error), entry: undefined };
  }
}

/** @returns nothing where one of them is refused, and none was created. */
async function createTogether(
  valid: readonly NewEntry[],
  entries: EntryRepository,
): Promise<readonly CreatedEntry[] | undefined> {
  try {
    return await entries.createMany(valid);
  } catch (error) {
    if (isSpiffeError(error)) return undefined;
    throw error;
  }
}

async function createAlone(entry: NewEntry, entries: EntryRepository): Promise<CreateEntryResult> {
  try {
    return toResult(await entries.create(entry));
  } catch (error) {
    return { status: itemStatus(error), entry: undefined };
  }
}

function toResult(stored: CreatedEntry): CreateEntryResult {
  const { entry, created } = stored;
  const status = created ? ITEM_OK : { code: Status.AlreadyExists, message: 'similar entry already exists' };
  return { status, entry, stored };
}

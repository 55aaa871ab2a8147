import type {
  SyncAuthorizedEntriesRequest,
  SyncAuthorizedEntriesResponse,
} from '../../gen/spire/api/server/entry/v1/entry.ts';
import type { RegistrationEntry } from '../../spiffe/entry.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { toApiEntry } from './api-entry.ts';

/** Whole entries in one answer at most; with no more than these, no revisions are sent first. */
const ENTRIES_A_PAGE = 500;
const REVISIONS_A_PAGE = 10_000;

/**
 * Tells an agent what it may sign for at the price of what changed: few entries are sent whole; of many, only
 * the revisions, and then those whose ids the agent asks for.
 */
export async function* syncEntries(
  requests: AsyncIterable<SyncAuthorizedEntriesRequest>,
  authorizedEntries: () => readonly RegistrationEntry[],
): AsyncGenerator<SyncAuthorizedEntriesResponse> {
  const incoming = requests[Symbol.asyncIterator]();
  const first = await incoming.next();
  if (first.done === true) throw new SpiffeError('ARGUMENT_INVALID', 'the stream ended before its first request');
  if (first.value.ids.length > 0) {
    throw new SpiffeError('ARGUMENT_INVALID', 'the first request names ids: it asks for the revisions of all');
  }
  const { outputMask } = first.value;
  if (outputMask !== undefined && !outputMask.revisionNumber) {
    throw new SpiffeError('ARGUMENT_INVALID', 'the revision number cannot be masked: it tells what has changed');
  }
  const entries = authorizedEntries().toSorted((a, b) => (a.id < b.id ? -1 : 1));
  if (entries.length <= ENTRIES_A_PAGE) {
    yield { entryRevisions: [], entries: entries.map((entry) => toApiEntry(entry, outputMask)), more: false };
    return;
  }
  for (const { items, more } of pages(entries, REVISIONS_A_PAGE)) {
    const entryRevisions = items.map(({ id, revisionNumber, createdAt }) => ({
      id,
      revisionNumber: BigInt(revisionNumber),
      createdAt: BigInt(createdAt),
    }));
    yield { entryRevisions, entries: [], more };
  }
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  for await (const { ids } of { [Symbol.asyncIterator]: () => incoming }) {
    const asked = [...new Set(ids)].flatMap((id) => byId.get(id) ?? []);
    for (const { items, more } of pages(asked, ENTRIES_A_PAGE)) {
      yield { entryRevisions: [], entries: items.map((entry) => toApiEntry(entry, outputMask)), more };
    }
  }
}

/** One page at least, so that every request is answered. */
function* pages<T>(items: readonly T[], size: number): Generator<{ items: readonly T[]; more: boolean }> {
  let start = 0;
  do {
    const end = start + size;
    yield { items: items.slice(start, end), more: end < items.length };
    start = end;
  } while (start < items.length);
}

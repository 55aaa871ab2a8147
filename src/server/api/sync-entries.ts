import type {
  SyncAuthorizedEntriesRequest,
  SyncAuthorizedEntriesResponse,
} from '../../gen/spire/api/server/entry/v1/entry.ts';
import type { Encoded } from '../../rpc/encoded.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { CachedEntry } from '../cached-entry.ts';
import { findById } from '../sorted-entries.ts';
import { encodeRevisions, encodeSyncedEntries } from './encoded-entries.ts';

/** Whole entries in one answer at most; with no more than these, no revisions are sent first. */
const ENTRIES_A_PAGE = 500;
const REVISIONS_A_PAGE = 10_000;

/**
 * Tells an agent what it may sign for at the price of what changed: few entries are sent whole; of many, only
 * the revisions, and then those whose ids the agent asks for.
 *
 * @param authorizedEntries in the order of their ids
 */
export async function* syncEntries(
  requests: AsyncIterable<SyncAuthorizedEntriesRequest>,
  authorizedEntries: () => readonly CachedEntry[],
): AsyncGenerator<Encoded<SyncAuthorizedEntriesResponse>> {
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
  const entries = authorizedEntries();
  if (entries.length <= ENTRIES_A_PAGE) {
    yield encodeSyncedEntries(entries, outputMask, false);
    return;
  }
  for (const { items, more } of pages(entries, REVISIONS_A_PAGE)) yield encodeRevisions(items, more);
  for await (const { ids } of { [Symbol.asyncIterator]: () => incoming }) {
    const asked = [...new Set(ids)].flatMap((id) => findById(entries, id) ?? []);
    for (const { items, more } of pages(asked, ENTRIES_A_PAGE)) yield encodeSyncedEntries(items, outputMask, more);
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

import type {
  EntryRevision,
  SyncAuthorizedEntriesRequest,
  SyncAuthorizedEntriesResponse,
} from '../../gen/spire/api/server/entry/v1/entry.ts';
import type { Entry as ApiEntry } from '../../gen/spire/api/types/types.ts';
import type { BidiCall } from '../../rpc/client.ts';
import { RemoteError } from '../../rpc/status.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { Status } from '../../spiffe/status.ts';
import { AUTHORIZED_ENTRY_MASK, type AuthorizedEntry, fromApiEntry } from './authorized-entry.ts';
import { CALL_DEADLINE_MS, type ServerClients, type ServerConnection } from './server-connection.ts';

export type Entries = ReadonlyMap<string, AuthorizedEntry>;

export interface SyncOptions {
  readonly connection: ServerConnection;
  /** What is known already: the very objects come back where nothing changed. */
  readonly known: Entries;
  /** Calls `SyncAuthorizedEntries`, where the server has it. */
  readonly sparse: boolean;
  readonly signal: AbortSignal;
}

const SYNC_DEADLINE_MS = 60_000;
/** Ids in one request; SPIRE's server answers as many entries on a page. */
const IDS_A_REQUEST = 500;

/** All entries that this agent may sign for, by id. Inventory R027, R028. */
export async function fetchEntries(options: SyncOptions): Promise<Entries> {
  const { connection, known, sparse, signal } = options;
  if (!sparse) return await fetchWhole(options);
  try {
    return await connection.run(async ({ entry }) => {
      await using call = entry.syncAuthorizedEntries({ signal, deadlineMs: SYNC_DEADLINE_MS });
      return await sync(call, known);
    });
  } catch (error) {
    if (error instanceof RemoteError && error.status === Status.Unimplemented) return await fetchWhole(options);
    throw error;
  }
}

async function fetchWhole({ connection, known, signal }: SyncOptions): Promise<Entries> {
  const ask = ({ entry }: ServerClients) =>
    entry.getAuthorizedEntries({ outputMask: AUTHORIZED_ENTRY_MASK }, { signal, deadlineMs: CALL_DEADLINE_MS });
  const { entries } = await connection.run(ask);
  return toEntries(entries, known);
}

type SyncCall = BidiCall<SyncAuthorizedEntriesRequest, SyncAuthorizedEntriesResponse>;

/** Few entries come whole at once; of many come revisions, and those that are not known are asked for. */
async function sync(call: SyncCall, known: Entries): Promise<Entries> {
  await call.send({ outputMask: AUTHORIZED_ENTRY_MASK, ids: [] });
  const entries = new Map<string, AuthorizedEntry>();
  const wanted: string[] = [];
  const take = (whole: readonly ApiEntry[]) => {
    for (const entry of whole) entries.set(entry.id, currentOrNew(entry, known));
  };
  for await (const page of pagesOf(call)) {
    take(page.entries);
    for (const revision of page.entryRevisions) {
      const entry = known.get(revision.id);
      if (entry !== undefined && isCurrent(entry, revision)) entries.set(revision.id, entry);
      else wanted.push(revision.id);
    }
  }
  for (let start = 0; start < wanted.length; start += IDS_A_REQUEST) {
    await call.send({ outputMask: undefined, ids: wanted.slice(start, start + IDS_A_REQUEST) });
    for await (const page of pagesOf(call)) take(page.entries);
  }
  call.end();
  return entries;
}

/** The answers to one request. */
async function* pagesOf(call: SyncCall): AsyncGenerator<SyncAuthorizedEntriesResponse> {
  for (;;) {
    const page = await call.receive();
    if (page === undefined) throw new SpiffeError('INTERNAL', 'the server ended the sync before its answer');
    yield page;
    if (!page.more) return;
  }
}

function toEntries(entries: readonly ApiEntry[], known: Entries): Entries {
  return new Map(entries.map((entry) => [entry.id, currentOrNew(entry, known)]));
}

/** The very object that is known, where nothing changed. */
export function currentOrNew(entry: ApiEntry, known: Entries): AuthorizedEntry {
  const before = known.get(entry.id);
  return before !== undefined && isCurrent(before, entry) ? before : fromApiEntry(entry);
}

/** An entry that was deleted and made anew has the same id and perhaps revision, but another time of creation. */
function isCurrent(entry: AuthorizedEntry, { revisionNumber, createdAt }: Omit<EntryRevision, 'id'>): boolean {
  return entry.revisionNumber === Number(revisionNumber) && entry.createdAt === Number(createdAt);
}

import { AUTHORIZED_ENTRY_MASK } from './authorized-entry.ts';
import { CALL_DEADLINE_MS, type ServerConnection } from './server-connection.ts';
import { currentOrNew, type Entries } from './sync-entries.ts';

export interface NamedEntriesOptions {
  readonly connection: ServerConnection;
  readonly known: Entries;
  /** Entries that have changed: no others have. */
  readonly ids: ReadonlySet<string>;
  readonly signal: AbortSignal;
}

/** What is known, with those entries as they are now. For a server that has told their ids. */
export async function fetchNamedEntries({ connection, known, ids, signal }: NamedEntriesOptions): Promise<Entries> {
  const request = { ids: [...ids], outputMask: AUTHORIZED_ENTRY_MASK };
  const found = await connection.run(({ watch }) =>
    watch.findEntries(request, { signal, deadlineMs: CALL_DEADLINE_MS }),
  );
  const entries = new Map(known);
  for (const id of ids) entries.delete(id);
  for (const entry of found.entries) if (ids.has(entry.id)) entries.set(entry.id, currentOrNew(entry, known));
  return entries;
}

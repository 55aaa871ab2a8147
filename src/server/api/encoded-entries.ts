import {
  type GetAuthorizedEntriesResponse,
  ListEntriesResponse,
  SyncAuthorizedEntriesResponse,
} from '../../gen/spire/api/server/entry/v1/entry.ts';
import { Entry, type EntryMask } from '../../gen/spire/api/types/types.ts';
import { Encoded } from '../../rpc/encoded.ts';
import type { CachedEntry } from '../cached-entry.ts';
import { toApiEntry } from './api-entry.ts';
import { FieldWriter, fieldsOf, type KeptFields, MAX_PREFIX } from './encoded-fields.ts';

/** Numbers of the fields of `spire.api.types.Entry`. */
const FIELDS: Readonly<Record<keyof EntryMask, number>> = {
  spiffeId: 2,
  parentId: 3,
  selectors: 4,
  x509SvidTtl: 5,
  federatesWith: 6,
  admin: 7,
  downstream: 8,
  expiresAt: 9,
  dnsNames: 10,
  revisionNumber: 11,
  storeSvid: 12,
  jwtSvidTtl: 13,
  hint: 14,
  createdAt: 15,
  additionalAttributes: 16,
};
const ID = 1;

export function encodeAuthorizedEntries(
  entries: readonly CachedEntry[],
  mask: EntryMask | undefined,
): Encoded<GetAuthorizedEntriesResponse> {
  return new Encoded(repeated(1, entries, mask));
}

export function encodeListedEntries(
  entries: readonly CachedEntry[],
  mask: EntryMask | undefined,
  nextPageToken: string,
): Encoded<ListEntriesResponse> {
  return new Encoded(repeated(1, entries, mask, ListEntriesResponse.encode({ entries: [], nextPageToken }).finish()));
}

export function encodeSyncedEntries(
  entries: readonly CachedEntry[],
  mask: EntryMask | undefined,
  more: boolean,
): Encoded<SyncAuthorizedEntriesResponse> {
  const rest = SyncAuthorizedEntriesResponse.encode({ entryRevisions: [], entries: [], more }).finish();
  return new Encoded(repeated(2, entries, mask, rest));
}

export function encodeRevisions(
  entries: readonly CachedEntry[],
  more: boolean,
): Encoded<SyncAuthorizedEntriesResponse> {
  let text = '';
  for (const entry of entries) text += encodedRevision(entry);
  return new Encoded(Buffer.from(more ? `${text}\x18\x01` : text, 'latin1'));
}

/** A repeated field of entries as the mask has them, the id always; without a mask, all of each. */
function repeated(
  field: number,
  entries: readonly CachedEntry[],
  mask: EntryMask | undefined,
  rest: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const encoded = entries.map(encodedEntry);
  const writer = new FieldWriter(encoded.reduce((total, { length }) => total + length + MAX_PREFIX, rest.length));
  const kept = mask === undefined ? undefined : keptFields(mask);
  for (const entry of encoded) {
    if (kept === undefined) writer.writeMessage(field, entry);
    else writer.writeKept(field, entry, kept);
  }
  writer.write(rest);
  return writer.bytes;
}

function keptFields(mask: EntryMask): KeptFields {
  const named = Object.entries(FIELDS).flatMap(([name, number]) => (mask[name as keyof EntryMask] ? [number] : []));
  return fieldsOf([ID, ...named]);
}

function encodedEntry(entry: CachedEntry): Uint8Array {
  entry.encoded ??= Buffer.from(Entry.encode(toApiEntry(entry, undefined)).finish());
  return entry.encoded;
}

/** With its tag and length, as it stands in an answer. */
function encodedRevision(entry: CachedEntry): string {
  if (entry.encodedRevision === undefined) {
    const { id, revisionNumber, createdAt } = entry;
    const revision = { id, revisionNumber: BigInt(revisionNumber), createdAt: BigInt(createdAt) };
    const alone = { entryRevisions: [revision], entries: [], more: false };
    entry.encodedRevision = Buffer.from(SyncAuthorizedEntriesResponse.encode(alone).finish()).toString('latin1');
  }
  return entry.encodedRevision;
}

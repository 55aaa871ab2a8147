import type { Kysely } from 'kysely';
import type { RegistrationEntry } from '../spiffe/entry.ts';
import type { Selector } from '../spiffe/selector.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { entryIdentity } from './entry-identity.ts';
import { RowInserter } from './insert-rows.ts';
import { Lists } from './lists.ts';
import { QueryByKeys } from './prepared-query.ts';
import type { DatastoreSchema } from './schema.ts';
import { chunksOf, toFlag } from './session.ts';

type EntryRow = DatastoreSchema['registration_entry'];

const selectorsByEntry = new QueryByKeys((db, ids) =>
  db
    .selectFrom('entry_selector')
    .select(['entry_id', 'type', 'value'])
    .where('entry_id', 'in', ids)
    .orderBy('position'),
);
const trustDomainsByEntry = new QueryByKeys((db, ids) =>
  db
    .selectFrom('entry_federates_with')
    .select(['entry_id', 'trust_domain'])
    .where('entry_id', 'in', ids)
    .orderBy('position'),
);
const dnsNamesByEntry = new QueryByKeys((db, ids) =>
  db.selectFrom('entry_dns_name').select(['entry_id', 'dns_name']).where('entry_id', 'in', ids).orderBy('position'),
);

/** Adds selectors, federation and DNS names to rows: three queries for a thousand rows. */
export async function loadEntries(
  db: Kysely<DatastoreSchema>,
  rows: readonly EntryRow[],
): Promise<readonly RegistrationEntry[]> {
  const selectors = new Lists<Selector>();
  const federatesWith = new Lists<TrustDomain>();
  const dnsNames = new Lists<string>();
  const ids = rows.map(({ id }) => id);
  for (const { entry_id, type, value } of await selectorsByEntry.run(db, ids)) selectors.add(entry_id, { type, value });
  for (const { entry_id, trust_domain } of await trustDomainsByEntry.run(db, ids)) {
    federatesWith.add(entry_id, trust_domain as TrustDomain);
  }
  for (const { entry_id, dns_name } of await dnsNamesByEntry.run(db, ids)) dnsNames.add(entry_id, dns_name);
  return rows.map((row) => ({
    id: row.id,
    parentId: row.parent_id as SpiffeId,
    spiffeId: row.spiffe_id as SpiffeId,
    selectors: selectors.of(row.id),
    x509SvidTtlSeconds: row.x509_svid_ttl_seconds,
    jwtSvidTtlSeconds: row.jwt_svid_ttl_seconds,
    federatesWith: federatesWith.of(row.id),
    admin: row.admin !== 0,
    downstream: row.downstream !== 0,
    storeSvid: row.store_svid !== 0,
    dnsNames: dnsNames.of(row.id),
    expiresAt: row.expires_at,
    hint: row.hint,
    revisionNumber: row.revision_number,
    createdAt: row.created_at,
    jwtSvidIncludeJti: row.jwt_svid_include_jti !== 0,
    disableX509SvidPrefetch: row.disable_x509_svid_prefetch !== 0,
  }));
}

export function toEntryRow(entry: RegistrationEntry): EntryRow {
  return {
    id: entry.id,
    identity_hash: entryIdentity(entry),
    parent_id: entry.parentId,
    spiffe_id: entry.spiffeId,
    x509_svid_ttl_seconds: entry.x509SvidTtlSeconds,
    jwt_svid_ttl_seconds: entry.jwtSvidTtlSeconds,
    admin: toFlag(entry.admin),
    downstream: toFlag(entry.downstream),
    store_svid: toFlag(entry.storeSvid),
    expires_at: entry.expiresAt,
    hint: entry.hint,
    revision_number: entry.revisionNumber,
    created_at: entry.createdAt,
    jwt_svid_include_jti: toFlag(entry.jwtSvidIncludeJti),
    disable_x509_svid_prefetch: toFlag(entry.disableX509SvidPrefetch),
  };
}

/** Leaves out those whose ID or identity is taken. */
export const newEntryRows = new RowInserter<'registration_entry', Pick<EntryRow, 'id' | 'identity_hash'>>(
  [
    'id',
    'identity_hash',
    'parent_id',
    'spiffe_id',
    'x509_svid_ttl_seconds',
    'jwt_svid_ttl_seconds',
    'admin',
    'downstream',
    'store_svid',
    'expires_at',
    'hint',
    'revision_number',
    'created_at',
    'jwt_svid_include_jti',
    'disable_x509_svid_prefetch',
  ],
  (db, rows) =>
    db
      .insertInto('registration_entry')
      .values(rows)
      .onConflict((conflict) => conflict.doNothing())
      .returning(['id', 'identity_hash']),
);

const selectorRows = new RowInserter<'entry_selector'>(['entry_id', 'position', 'type', 'value'], (db, rows) =>
  db.insertInto('entry_selector').values(rows),
);

/** Writes the lists of entries that have none stored yet. */
export async function insertEntryLists(
  db: Kysely<DatastoreSchema>,
  entries: readonly RegistrationEntry[],
): Promise<void> {
  const selectors = entries.flatMap(({ id, selectors }) =>
    selectors.map(({ type, value }, position) => ({ entry_id: id, position, type, value })),
  );
  const federatesWith = entries.flatMap(({ id, federatesWith }) =>
    federatesWith.map((trust_domain, position) => ({ entry_id: id, position, trust_domain })),
  );
  const dnsNames = entries.flatMap(({ id, dnsNames }) =>
    dnsNames.map((dns_name, position) => ({ entry_id: id, position, dns_name })),
  );
  await selectorRows.insert(db, selectors);
  for (const chunk of chunksOf(federatesWith)) await db.insertInto('entry_federates_with').values(chunk).execute();
  for (const chunk of chunksOf(dnsNames)) await db.insertInto('entry_dns_name').values(chunk).execute();
}

export async function deleteEntryLists(db: Kysely<DatastoreSchema>, id: string): Promise<void> {
  await db.deleteFrom('entry_selector').where('entry_id', '=', id).execute();
  await db.deleteFrom('entry_federates_with').where('entry_id', '=', id).execute();
  await db.deleteFrom('entry_dns_name').where('entry_id', '=', id).execute();
}

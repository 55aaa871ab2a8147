import type { EntryChanges, NewEntry } from '../../datastore/entry-repository.ts';
import { Entry, type EntryMask } from '../../gen/spire/api/types/types.ts';
import type { RegistrationEntry } from '../../spiffe/entry.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { fromApiId, toApiId } from './api-ids.ts';

/** An entry as the API shows it; without a mask, all of it. The id is always there. */
export function toApiEntry(entry: RegistrationEntry, mask: EntryMask | undefined): Entry {
  const all: Entry = {
    id: entry.id,
    spiffeId: toApiId(entry.spiffeId),
    parentId: toApiId(entry.parentId),
    selectors: entry.selectors.map(({ type, value }) => ({ type, value })),
    x509SvidTtl: entry.x509SvidTtlSeconds,
    jwtSvidTtl: entry.jwtSvidTtlSeconds,
    federatesWith: [...entry.federatesWith],
    admin: entry.admin,
    downstream: entry.downstream,
    expiresAt: BigInt(entry.expiresAt),
    dnsNames: [...entry.dnsNames],
    revisionNumber: BigInt(entry.revisionNumber),
    storeSvid: entry.storeSvid,
    hint: entry.hint,
    createdAt: BigInt(entry.createdAt),
    additionalAttributes: {
      disableX509SvidPrefetch: entry.disableX509SvidPrefetch,
      jwtSvidIncludeJti: entry.jwtSvidIncludeJti,
    },
  };
  if (mask === undefined) return all;
  return { ...Entry.create({ id: entry.id }), ...masked(all, mask) };
}

function masked(all: Entry, mask: EntryMask): Partial<Entry> {
  return {
    ...(mask.spiffeId && { spiffeId: all.spiffeId }),
    ...(mask.parentId && { parentId: all.parentId }),
    ...(mask.selectors && { selectors: all.selectors }),
    ...(mask.x509SvidTtl && { x509SvidTtl: all.x509SvidTtl }),
    ...(mask.jwtSvidTtl && { jwtSvidTtl: all.jwtSvidTtl }),
    ...(mask.federatesWith && { federatesWith: all.federatesWith }),
    ...(mask.admin && { admin: all.admin }),
    ...(mask.downstream && { downstream: all.downstream }),
    ...(mask.expiresAt && { expiresAt: all.expiresAt }),
    ...(mask.dnsNames && { dnsNames: all.dnsNames }),
    ...(mask.revisionNumber && { revisionNumber: all.revisionNumber }),
    ...(mask.storeSvid && { storeSvid: all.storeSvid }),
    ...(mask.hint && { hint: all.hint }),
    ...(mask.createdAt && { createdAt: all.createdAt }),
    ...(mask.additionalAttributes && { additionalAttributes: all.additionalAttributes }),
  };
}

/** What somebody asks to be entered; its rules are checked by `requireValidEntry`. */
export function fromApiEntry(entry: Entry): NewEntry {
  return {
    id: entry.id,
    spiffeId: fromApiId(entry.spiffeId, 'SPIFFE ID'),
    parentId: fromApiId(entry.parentId, 'parent ID'),
    selectors: entry.selectors,
    x509SvidTtlSeconds: entry.x509SvidTtl,
    jwtSvidTtlSeconds: entry.jwtSvidTtl,
    federatesWith: entry.federatesWith.map(parseTrustDomain),
    admin: entry.admin,
    downstream: entry.downstream,
    expiresAt: Number(entry.expiresAt),
    dnsNames: entry.dnsNames,
    storeSvid: entry.storeSvid,
    hint: entry.hint,
    disableX509SvidPrefetch: entry.additionalAttributes?.disableX509SvidPrefetch ?? false,
    jwtSvidIncludeJti: entry.additionalAttributes?.jwtSvidIncludeJti ?? false,
  };
}

/** The changes that an update asks for: what the mask names, or all. */
export function fromApiEntryUpdate(entry: Entry, mask: EntryMask | undefined): EntryChanges {
  const has = (field: keyof EntryMask) => mask === undefined || mask[field];
  return {
    ...(has('spiffeId') && { spiffeId: fromApiId(entry.spiffeId, 'SPIFFE ID') }),
    ...(has('parentId') && { parentId: fromApiId(entry.parentId, 'parent ID') }),
    ...(has('selectors') && { selectors: entry.selectors }),
    ...(has('x509SvidTtl') && { x509SvidTtlSeconds: entry.x509SvidTtl }),
    ...(has('jwtSvidTtl') && { jwtSvidTtlSeconds: entry.jwtSvidTtl }),
    ...(has('federatesWith') && { federatesWith: entry.federatesWith.map(parseTrustDomain) }),
    ...(has('admin') && { admin: entry.admin }),
    ...(has('downstream') && { downstream: entry.downstream }),
    ...(has('expiresAt') && { expiresAt: Number(entry.expiresAt) }),
    ...(has('dnsNames') && { dnsNames: entry.dnsNames }),
    ...(has('storeSvid') && { storeSvid: entry.storeSvid }),
    ...(has('hint') && { hint: entry.hint }),
    ...(has('additionalAttributes') && {
      disableX509SvidPrefetch: entry.additionalAttributes?.disableX509SvidPrefetch ?? false,
      jwtSvidIncludeJti: entry.additionalAttributes?.jwtSvidIncludeJti ?? false,
    }),
  };
}

import type { ListEntriesRequest_Filter as Filter } from '../../gen/spire/api/server/entry/v1/entry.ts';
import {
  type Entry,
  type EntryMask,
  FederatesWithMatch_MatchBehavior as FederatesWithBehavior,
  SelectorMatch_MatchBehavior as MatchBehavior,
  type Selector,
  type SPIFFEID,
} from '../../gen/spire/api/types/types.ts';
import type { LogFields } from '../../log/logger.ts';

/** As it came: it may be none. */
export function idText(id: SPIFFEID | undefined): string | undefined {
  return id && `spiffe://${id.trustDomain}${id.path}`;
}

export function selectorsText(selectors: readonly Selector[]): string | undefined {
  return selectors.length === 0 ? undefined : selectors.map(({ type, value }) => `${type}:${value}`).join(',');
}

/** SPIRE's names for what an entry is asked to have; with a mask, what that asks for. */
export function entryFields(entry: Entry, mask: EntryMask | undefined): LogFields {
  const has = (field: keyof EntryMask) => mask === undefined || mask[field];
  return {
    entry_id: entry.id === '' ? undefined : entry.id,
    ...(has('spiffeId') && { spiffe_id: idText(entry.spiffeId) }),
    ...(has('parentId') && { parent_id: idText(entry.parentId) }),
    ...(has('selectors') && { selectors: selectorsText(entry.selectors) }),
    ...(has('x509SvidTtl') && { x509_svid_ttl: entry.x509SvidTtl }),
    ...(has('jwtSvidTtl') && { jwt_svid_ttl: entry.jwtSvidTtl }),
    ...(has('federatesWith') && { federates_with: joined(entry.federatesWith) }),
    ...(has('admin') && { admin: entry.admin }),
    ...(has('downstream') && { downstream: entry.downstream }),
    ...(has('expiresAt') && { expires_at: entry.expiresAt }),
    ...(has('dnsNames') && { dns_name: joined(entry.dnsNames) }),
    ...(has('revisionNumber') && { revision_number: entry.revisionNumber }),
    ...(has('storeSvid') && { store_svid: entry.storeSvid }),
    ...(has('hint') && { hint: entry.hint }),
    ...(has('createdAt') && { created_at: entry.createdAt }),
  };
}

export function entryFilterFields(filter: Filter | undefined): LogFields {
  if (filter === undefined) return {};
  const { byHint, byParentId, bySpiffeId, bySelectors, byFederatesWith, byDownstream } = filter;
  return {
    hint: byHint,
    parent_id: idText(byParentId),
    spiffe_id: idText(bySpiffeId),
    by_selector_match: bySelectors && nameOf(MatchBehavior, bySelectors.match),
    by_selectors: bySelectors && selectorsText(bySelectors.selectors),
    federates_with_match: byFederatesWith && nameOf(FederatesWithBehavior, byFederatesWith.match),
    federates_with: byFederatesWith && joined(byFederatesWith.trustDomains),
    downstream: byDownstream,
  };
}

/** Of a value of a generated enumeration. */
export function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(names).find((name) => names[name] === value) ?? String(value);
}

function joined(texts: readonly string[]): string | undefined {
  return texts.length === 0 ? undefined : texts.join(',');
}

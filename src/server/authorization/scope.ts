import type { ScopeConfig } from '../../config/authorization-config.ts';
import type { EntryScope, IdScope } from '../../datastore/scope.ts';
import type { RegistrationEntry } from '../../spiffe/entry.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';

/** The entries of a scope, for a query; without a scope, all. */
export function toEntryScope(scope: ScopeConfig | undefined): EntryScope {
  if (scope === undefined) return {};
  const parent = toParentScope(scope);
  return {
    ...(parent === undefined ? {} : { parent }),
    ...(scope.spiffeIdPrefixes.length > 0 && { spiffeId: { ids: [], prefixes: scope.spiffeIdPrefixes } }),
    ...(scope.selectorTypes.length > 0 && { selectorTypes: scope.selectorTypes }),
  };
}

/** What a scope says of parents, agents among them; absent: nothing. */
export function toParentScope({ parentIds, parentIdPrefixes }: ScopeConfig): IdScope | undefined {
  return parentIds.length + parentIdPrefixes.length === 0 ? undefined : { ids: parentIds, prefixes: parentIdPrefixes };
}

export function isIdInScope(id: SpiffeId, { ids, prefixes }: IdScope): boolean {
  return ids.includes(id) || prefixes.some((prefix) => id === prefix || id.startsWith(`${prefix}/`));
}

/** The first condition that an entry does not meet, in words; nothing where it meets all. */
export function findOutOfScope(
  entry: Pick<RegistrationEntry, 'parentId' | 'spiffeId' | 'selectors'>,
  { parent, spiffeId, selectorTypes }: EntryScope,
): string | undefined {
  if (parent !== undefined && !isIdInScope(entry.parentId, parent)) {
    return `its parent ID "${entry.parentId}" is outside of the scope`;
  }
  if (spiffeId !== undefined && !isIdInScope(entry.spiffeId, spiffeId)) {
    return `its SPIFFE ID "${entry.spiffeId}" is outside of the scope`;
  }
  const foreign = entry.selectors.find(({ type }) => selectorTypes !== undefined && !selectorTypes.includes(type));
  return foreign && `selectors of type "${foreign.type}" are outside of the scope`;
}

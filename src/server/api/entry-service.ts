import type { EntryFilter } from '../../datastore/entry-filter.ts';
import type { EntryGuard, EntryRepository, NewEntry } from '../../datastore/entry-repository.ts';
import {
  EntryDefinition,
  type ListEntriesRequest_Filter as Filter,
} from '../../gen/spire/api/server/entry/v1/entry.ts';
import type { CallContext } from '../../rpc/call.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { requireValidEntry } from '../../spiffe/entry.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { Access } from '../authorization/access.ts';
import type { CachedEntry } from '../cached-entry.ts';
import type { EntryCache } from '../entry-cache.ts';
import { fromApiEntryUpdate, toApiEntry } from './api-entry.ts';
import { fromApiMemberId, fromApiWorkloadId } from './api-ids.ts';
import { createEntries } from './create-entries.ts';
import { encodeAuthorizedEntries, encodeListedEntries } from './encoded-entries.ts';
import { ITEM_OK, itemStatus } from './item-status.ts';
import { toPageRequest } from './page-request.ts';
import { fromFederatesWithMatch, fromSelectorMatch } from './selector-match.ts';
import { syncEntries } from './sync-entries.ts';

export interface EntryServiceOptions {
  readonly entries: EntryRepository;
  readonly cache: EntryCache;
  readonly trustDomain: TrustDomain;
  /** What the agent that calls may sign for. */
  readonly authorizedEntries: (context: CallContext) => readonly CachedEntry[];
  /** What the call may see and change. */
  readonly access: (context: CallContext) => Access;
}

/** Inventory R022 to R029. */
export function entryService(options: EntryServiceOptions): BoundService {
  const { entries, cache, trustDomain, authorizedEntries } = options;
  const visible = (filter: Filter | undefined, context: CallContext): EntryFilter => {
    const { entryScopes } = options.access(context);
    return { ...entryFilter(filter, trustDomain), ...(entryScopes === undefined ? {} : { scopes: entryScopes }) };
  };
  return bindService(EntryDefinition, {
    async countEntries({ filter }, context) {
      return { count: await entries.count(visible(filter, context)) };
    },
    async listEntries({ filter, outputMask, pageSize, pageToken }, context) {
      const page = toPageRequest(pageSize, pageToken);
      const { seesEntry } = options.access(context);
      const { items, nextPageToken } = await entries.listIds(visible(filter, context), page);
      await cache.refresh(); // what is listed is as new as the list at least
      return encodeListedEntries(
        items.flatMap((id) => cache.find(id) ?? []).filter(seesEntry), // it may be newer
        outputMask,
        nextPageToken,
      );
    },
    async getEntry({ id, outputMask }, context) {
      requireEntryId(id);
      const entry = await entries.find(id);
      if (entry === undefined || !options.access(context).seesEntry(entry)) {
        throw new SpiffeError('ENTRY_NOT_FOUND', `no registration entry ${quoteText(id)}`);
      }
      return toApiEntry(entry, outputMask);
    },
    async batchCreateEntry({ entries: wanted, outputMask }, context) {
      const { requireEntryChange } = options.access(context);
      const require = (entry: NewEntry) => requireEntryChange(undefined, entry);
      const results = await createEntries(wanted, { entries, trustDomain, require });
      await cache.refresh(results.flatMap(({ stored }) => stored ?? []));
      return {
        results: results.map(({ status, entry }) => ({ status, entry: entry && toApiEntry(entry, outputMask) })),
      };
    },
    async batchUpdateEntry({ entries: wanted, inputMask, outputMask }, context) {
      const { requireEntryChange } = options.access(context);
      const guard: EntryGuard = (before, after) => {
        requireEntryChange(before, after);
        if (after !== undefined) requireValidEntry(after, trustDomain);
      };
      const results = [];
      for (const one of wanted) {
        try {
          requireEntryId(one.id);
          const changes = fromApiEntryUpdate(one, inputMask);
          const updated = await entries.update(one.id, changes, guard);
          results.push({ status: ITEM_OK, entry: toApiEntry(updated, outputMask) });
        } catch (error) {
          results.push({ status: itemStatus(error), entry: undefined });
        }
      }
      await cache.refresh();
      return { results };
    },
    async batchDeleteEntry({ ids }, context) {
      const { requireEntryChange } = options.access(context);
      const results = [];
      for (const id of ids) {
        try {
          requireEntryId(id);
          await entries.delete(id, requireEntryChange);
          results.push({ status: ITEM_OK, id });
        } catch (error) {
          results.push({ status: itemStatus(error), id });
        }
      }
      await cache.refresh();
      return { results };
    },
    async getAuthorizedEntries({ outputMask }, context) {
      return encodeAuthorizedEntries(authorizedEntries(context), outputMask);
    },
    syncAuthorizedEntries: (requests, context) => syncEntries(requests, () => authorizedEntries(context)),
  });
}

function entryFilter(filter: Filter | undefined, trustDomain: TrustDomain): EntryFilter {
  if (filter === undefined) return {};
  return {
    ...(filter.byParentId && { parentId: fromApiMemberId(filter.byParentId, trustDomain, 'parent ID') }),
    ...(filter.bySpiffeId && { spiffeId: fromApiWorkloadId(filter.bySpiffeId, trustDomain) }),
    ...(filter.bySelectors && { selectors: fromSelectorMatch(filter.bySelectors) }),
    ...(filter.byFederatesWith && { federatesWith: fromFederatesWithMatch(filter.byFederatesWith) }),
    ...(filter.byHint && { hint: filter.byHint }), // an empty one asks for all
    ...(filter.byDownstream !== undefined && { downstream: filter.byDownstream }),
  };
}

function requireEntryId(id: string): void {
  if (id === '') throw new SpiffeError('ARGUMENT_INVALID', 'entry ID is missing');
}

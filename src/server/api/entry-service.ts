import type { EntryFilter } from '../../datastore/entry-filter.ts';
import type { EntryRepository } from '../../datastore/entry-repository.ts';
import {
  EntryDefinition,
  type ListEntriesRequest_Filter as Filter,
} from '../../gen/spire/api/server/entry/v1/entry.ts';
import type { CallContext } from '../../rpc/call.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { requireValidEntry } from '../../spiffe/entry.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
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
}

/** Inventory R022 to R029. */
export function entryService(options: EntryServiceOptions): BoundService {
  const { entries, cache, trustDomain, authorizedEntries } = options;
  return bindService(EntryDefinition, {
    async countEntries({ filter }) {
      return { count: await entries.count(entryFilter(filter, trustDomain)) };
    },
    async listEntries({ filter, outputMask, pageSize, pageToken }) {
      const page = toPageRequest(pageSize, pageToken);
      const { items, nextPageToken } = await entries.listIds(entryFilter(filter, trustDomain), page);
      await cache.refresh(); // what is listed is as new as the list at least
      return encodeListedEntries(
        items.flatMap((id) => cache.find(id) ?? []),
        outputMask,
        nextPageToken,
      );
    },
    async getEntry({ id, outputMask }) {
      requireEntryId(id);
      return toApiEntry(await entries.get(id), outputMask);
    },
    async batchCreateEntry({ entries: wanted, outputMask }) {
      const results = await createEntries(wanted, options);
      await cache.refresh();
      return {
        results: results.map(({ status, entry }) => ({ status, entry: entry && toApiEntry(entry, outputMask) })),
      };
    },
    async batchUpdateEntry({ entries: wanted, inputMask, outputMask }) {
      const results = [];
      for (const one of wanted) {
        try {
          requireEntryId(one.id);
          const changes = fromApiEntryUpdate(one, inputMask);
          requireValidEntry({ ...(await entries.get(one.id)), ...changes }, trustDomain);
          results.push({ status: ITEM_OK, entry: toApiEntry(await entries.update(one.id, changes), outputMask) });
        } catch (error) {
          results.push({ status: itemStatus(error), entry: undefined });
        }
      }
      await cache.refresh();
      return { results };
    },
    async batchDeleteEntry({ ids }) {
      const results = [];
      for (const id of ids) {
        try {
          requireEntryId(id);
          await entries.delete(id);
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

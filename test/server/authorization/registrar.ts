import type {
  EntryDefinition,
  ListEntriesRequest_Filter as Filter,
} from '../../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry, type EntryMask } from '../../../src/gen/spire/api/types/types.ts';
import type { Client } from '../../../src/rpc/client.ts';
import { apiId } from '../callers.ts';

type Wanted = Parameters<typeof Entry.fromPartial>[0];
type EntryClient = Client<typeof EntryDefinition>;

export const outputMask = undefined;
export const ALL: Filter = {
  bySpiffeId: undefined,
  byParentId: undefined,
  bySelectors: undefined,
  byFederatesWith: undefined,
  byHint: undefined,
  byDownstream: undefined,
};

/** An entry of the namespace that the registrar of these tests is for. */
export const inScope = (changes: Wanted = {}) =>
  Entry.fromPartial({
    spiffeId: apiId('/ns/shop/web'),
    parentId: apiId('/spire/agent/k8s_psat/one/node'),
    selectors: [{ type: 'k8s', value: 'ns:shop' }],
    ...changes,
  });

export const create = async (client: EntryClient, ...entries: readonly Entry[]) =>
  (await client.batchCreateEntry({ entries: [...entries], outputMask })).results;

/** @returns the id. */
export async function created(client: EntryClient, entry: Entry): Promise<string> {
  const [result] = await create(client, entry);
  if (result?.status?.code !== 0 || result.entry === undefined) throw new Error(result?.status?.message);
  return result.entry.id;
}

export const update = async (client: EntryClient, entry: Wanted, inputMask?: EntryMask) => {
  const request = { entries: [Entry.fromPartial(entry)], inputMask, outputMask };
  const [result] = (await client.batchUpdateEntry(request)).results;
  return result;
};

export const list = (client: EntryClient, filter: Partial<Filter> = {}, pageSize = 0, pageToken = '') =>
  client.listEntries({ filter: { ...ALL, ...filter }, outputMask, pageSize, pageToken });

export const count = async (client: EntryClient, filter: Partial<Filter> = {}) =>
  (await client.countEntries({ filter: { ...ALL, ...filter } })).count;

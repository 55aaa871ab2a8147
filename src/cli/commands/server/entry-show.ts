import { EntryDefinition, type ListEntriesRequest_Filter } from '../../../gen/spire/api/server/entry/v1/entry.ts';
import type { Entry } from '../../../gen/spire/api/types/types.ts';
import type { Client } from '../../../rpc/client.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { compareSelectors } from '../../../spiffe/selector.ts';
import { adminCommand } from '../../admin-channel.ts';
import { formatApiId } from '../../api-ids.ts';
import { entryFilterFlags, entryFilterOf } from '../../entry-filter.ts';
import { text } from '../../flag-kinds.ts';
import { formatCount } from '../../output.ts';
import { formatEntry } from '../../print-entry.ts';

const PAGE_SIZE = 500;

export const entryShow = adminCommand({
  summary: 'Show registration entries',
  flags: { ...entryFilterFlags, entryID: text('Only the entry with this ID', 'ID') },
  run: async ({ entryID, ...values }, { client, show, terminal }) => {
    if (entryID !== '' && (values.parentID !== '' || values.spiffeID !== '' || values.selector.length > 0)) {
      throw new SpiffeError('ARGUMENT_INVALID', '-entryID names one entry: leave out the other flags');
    }
    const api = client(EntryDefinition);
    const entries =
      entryID === ''
        ? await listEntries(api, entryFilterOf(values))
        : [await api.getEntry({ id: entryID, outputMask: undefined })];
    const sorted = entries.toSorted(compareEntries);
    show({ entries: sorted, nextPageToken: '' }, () => {
      terminal.print(`Found ${formatCount(sorted.length, 'entry', 'entries')}\n`);
      for (const entry of sorted) terminal.print(formatEntry(entry));
    });
  },
});

async function listEntries(
  api: Client<typeof EntryDefinition>,
  filter: ListEntriesRequest_Filter,
): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  let pageToken = '';
  do {
    const page = await api.listEntries({ filter, outputMask: undefined, pageSize: PAGE_SIZE, pageToken });
    entries.push(...page.entries);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return entries;
}

function compareEntries(a: Entry, b: Entry): number {
  return (
    compareTexts(formatApiId(a.spiffeId), formatApiId(b.spiffeId)) ||
    compareTexts(formatApiId(a.parentId), formatApiId(b.parentId)) ||
    a.x509SvidTtl - b.x509SvidTtl ||
    a.jwtSvidTtl - b.jwtSvidTtl ||
    a.selectors.length - b.selectors.length ||
    a.selectors.reduce((order, selector, index) => {
      const other = b.selectors[index];
      return order || (other === undefined ? 0 : compareSelectors(selector, other));
    }, 0)
  );
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

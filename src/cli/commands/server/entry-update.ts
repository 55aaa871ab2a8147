import { EntryDefinition } from '../../../gen/spire/api/server/entry/v1/entry.ts';
import type { Entry } from '../../../gen/spire/api/types/types.ts';
import type { Client } from '../../../rpc/client.ts';
import { adminCommand } from '../../admin-channel.ts';
import { requireGiven } from '../../api-ids.ts';
import { readEntryFile } from '../../entry-file.ts';
import { entryFlags, entryOf } from '../../entry-flags.ts';
import { optionalToggle, text } from '../../flag-kinds.ts';
import type { FlagValues } from '../../flags.ts';
import { dryRunFlag, previewChanges } from '../../preview.ts';
import { printEntryResults, withRequestedEntries } from '../../print-entry.ts';

const flags = {
  ...entryFlags,
  entryID: text('ID of the entry', 'ID'),
  disableX509SVIDPrefetch: optionalToggle('Let agents fetch the X509-SVID only when it is asked for'),
  jwtSVIDIncludeJTI: optionalToggle('Give every JWT-SVID a "jti" claim of its own, and cache none'),
  dryRun: dryRunFlag,
};

export const entryUpdate = adminCommand({
  summary: 'Replace registration entries; what is left out gets its default',
  flags,
  run: async (values, context) => {
    const { client, show, terminal } = context;
    const api = client(EntryDefinition);
    const entries = values.data === '' ? [await readEntry(values, api)] : await readEntryFile(values.data, terminal);
    if (values.dryRun) return await previewChanges({ update: [...entries] }, context);
    const request = { entries: [...entries], inputMask: undefined, outputMask: undefined };
    const answer = await api.batchUpdateEntry(request);
    const results = withRequestedEntries(answer.results, entries);
    show({ results }, () => printEntryResults(results, 'update', terminal));
  },
});

async function readEntry(values: FlagValues<typeof flags>, api: Client<typeof EntryDefinition>): Promise<Entry> {
  requireGiven(values.entryID, 'give the -entryID of the entry to replace');
  requireGiven(values.selector, 'give one -selector at least, such as -selector unix:uid:1000');
  requireGiven(values.parentID, 'give the -parentID of the entry');
  requireGiven(values.spiffeID, 'give the -spiffeID of the entry');
  const entry = entryOf(values, values.entryID);
  const { disableX509SVIDPrefetch: disablePrefetch, jwtSVIDIncludeJTI: includeJti } = values;
  if (disablePrefetch === undefined && includeJti === undefined) return entry;
  // The API replaces both attributes together, so the one that was not given stays as it is.
  const { additionalAttributes } = await api.getEntry({ id: values.entryID, outputMask: undefined });
  return {
    ...entry,
    additionalAttributes: {
      disableX509SvidPrefetch: disablePrefetch ?? additionalAttributes?.disableX509SvidPrefetch ?? false,
      jwtSvidIncludeJti: includeJti ?? additionalAttributes?.jwtSvidIncludeJti ?? false,
    },
  };
}

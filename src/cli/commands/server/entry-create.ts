import { EntryDefinition } from '../../../gen/spire/api/server/entry/v1/entry.ts';
import type { Entry } from '../../../gen/spire/api/types/types.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { parseSpiffeId, trustDomainOf } from '../../../spiffe/spiffe-id.ts';
import { adminCommand } from '../../admin-channel.ts';
import { requireGiven } from '../../api-ids.ts';
import { readEntryFile } from '../../entry-file.ts';
import { entryFlags, entryOf } from '../../entry-flags.ts';
import { text, toggle } from '../../flag-kinds.ts';
import type { FlagValues } from '../../flags.ts';
import { dryRunFlag, previewChanges } from '../../preview.ts';
import { printEntryResults, withRequestedEntries } from '../../print-entry.ts';

const flags = {
  ...entryFlags,
  entryID: text('ID of the entry; made by the server where it is left out', 'ID'),
  node: toggle('The entry is for nodes with these selectors: its parent is the server'),
  disableX509SVIDPrefetch: toggle('Let agents fetch the X509-SVID only when it is asked for'),
  jwtSVIDIncludeJTI: toggle('Give every JWT-SVID a "jti" claim of its own, and cache none'),
  dryRun: dryRunFlag,
};

export const entryCreate = adminCommand({
  summary: 'Create registration entries',
  flags,
  run: async (values, context) => {
    const { client, show, terminal } = context;
    const entries = values.data === '' ? [readEntry(values)] : await readEntryFile(values.data, terminal);
    if (values.dryRun) return await previewChanges({ create: [...entries] }, context);
    const answer = await client(EntryDefinition).batchCreateEntry({ entries: [...entries], outputMask: undefined });
    const results = withRequestedEntries(answer.results, entries);
    show({ results }, () => printEntryResults(results, 'create', terminal));
  },
});

function readEntry(values: FlagValues<typeof flags>): Entry {
  requireGiven(values.selector, 'give one -selector at least, such as -selector unix:uid:1000');
  requireGiven(values.spiffeID, 'give the -spiffeID of the entry');
  if (values.node && values.federatesWith.length > 0) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      'an entry for nodes does not federate: leave out -federatesWith or -node',
    );
  }
  if (!values.node) requireGiven(values.parentID, 'give the -parentID of the entry, or -node for an entry for nodes');
  const parentID = values.node ? serverIdFor(values.spiffeID) : values.parentID;
  const { disableX509SVIDPrefetch, jwtSVIDIncludeJTI } = values;
  const entry = entryOf({ ...values, parentID }, values.entryID);
  if (!disableX509SVIDPrefetch && !jwtSVIDIncludeJTI) return entry;
  const additionalAttributes = {
    disableX509SvidPrefetch: disableX509SVIDPrefetch,
    jwtSvidIncludeJti: jwtSVIDIncludeJTI,
  };
  return { ...entry, additionalAttributes };
}

function serverIdFor(spiffeId: string): string {
  return `spiffe://${trustDomainOf(parseSpiffeId(spiffeId))}/spire/server`;
}

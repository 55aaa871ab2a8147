import { EntryDefinition } from '../../../gen/spire/api/server/entry/v1/entry.ts';
import { adminCommand } from '../../admin-channel.ts';
import { entryFilterFlags, entryFilterOf } from '../../entry-filter.ts';
import { formatCount } from '../../output.ts';

export const entryCount = adminCommand({
  summary: 'Count registration entries',
  flags: entryFilterFlags,
  run: async (values, { client, show, terminal }) => {
    const answer = await client(EntryDefinition).countEntries({ filter: entryFilterOf(values) });
    show(answer, () => terminal.print(`${formatCount(answer.count, 'registration entry', 'registration entries')}\n`));
  },
});

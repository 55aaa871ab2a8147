import { EntryDefinition } from '../../../gen/spire/api/server/entry/v1/entry.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { Status } from '../../../spiffe/status.ts';
import { adminCommand } from '../../admin-channel.ts';
import { requireGiven } from '../../api-ids.ts';
import { text } from '../../flag-kinds.ts';
import { statusName } from '../../output.ts';
import { dryRunFlag, previewChanges } from '../../preview.ts';
import { hasFailed } from '../../print-entry.ts';
import { parseJsonObject, readInputFile } from '../../read-input-file.ts';
import type { Terminal } from '../../terminal.ts';

export const entryDelete = adminCommand({
  summary: 'Delete registration entries',
  flags: {
    entryID: text('ID of the entry', 'ID'),
    file: text('File with {"ids": ["…", …]}, or - for standard input', 'PATH'),
    dryRun: dryRunFlag,
  },
  run: async ({ entryID, file, dryRun }, context) => {
    const { client, show, terminal } = context;
    if (file === '') requireGiven(entryID, 'give the -entryID of the entry to delete, or a -file with many');
    const ids = file === '' ? [entryID] : await readIds(file, terminal);
    if (dryRun) return await previewChanges({ delete: [...ids] }, context);
    const { results } = await client(EntryDefinition).batchDeleteEntry({ ids: [...ids] });
    show({ results }, () => {
      const deleted = results.filter((result) => !hasFailed(result));
      const failed = results.filter(hasFailed);
      for (const { id } of deleted) terminal.print(`Deleted entry with ID: ${id}\n`);
      for (const { id, status } of failed) {
        const reason = `(code: ${statusName(status?.code ?? Status.Unknown)}, msg: ${JSON.stringify(status?.message ?? '')})`;
        terminal.printError(`Failed to delete entry with ID ${id} ${reason}\n`);
      }
      if (deleted.length > 0) terminal.print(`\nDeleted ${deleted.length} entries successfully\n`);
      if (failed.length > 0) throw new SpiffeError('FAILED_PRECONDITION', 'failed to delete one or more entries');
    });
  },
});

async function readIds(path: string, terminal: Terminal): Promise<readonly string[]> {
  const source = path === '-' ? 'standard input' : `"${path}"`;
  const { ids } = parseJsonObject(await readInputFile(path, terminal), source);
  if (!Array.isArray(ids) || ids.length === 0 || !ids.every((id) => typeof id === 'string')) {
    throw new SpiffeError('ARGUMENT_INVALID', `${source}: "ids" must be a list of entry IDs`);
  }
  return ids;
}

import { ApplyDefinition } from '../../../gen/assayer/server/apply/v1/apply.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { adminCommand } from '../../admin-channel.ts';
import { requireGiven } from '../../api-ids.ts';
import { readEntries } from '../../apply/read-entries.ts';
import { sendEntries } from '../../apply/send-entries.ts';
import { ExitCode } from '../../exit-code.ts';
import { text, texts, toggle } from '../../flag-kinds.ts';
import { formatApplied, withKindNames } from '../../print-applied.ts';

/** A dry run found something to do. */
const WOULD_CHANGE = 2;

export const entryApply = adminCommand({
  summary: 'Bring registration entries to what files say, in one transaction',
  flags: {
    f: texts('File, or folder with *.yaml, *.yml and *.json, or - for standard input', 'PATH'),
    set: text('Which set of entries these files are; only its own entries are changed or deleted', 'NAME', 'default'),
    prune: toggle('Delete entries of the set that are not in the files'),
    adopt: toggle('Take entries into the set that somebody made by hand and that the files have'),
    dryRun: toggle(`Only show what would be done; exit code ${WOULD_CHANGE} where that is anything`),
  },
  run: async ({ f, set, prune, adopt, dryRun }, { client, show, terminal }) => {
    requireGiven(f, 'give a file or a folder with -f');
    const located = await readEntries(f, terminal);
    if (located.length === 0 && prune) {
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        'the files have no entry, and -prune would delete the whole set: leave it out, or name other files',
      );
    }
    const options = { set, prune, adopt, dryRun };
    const answer = await sendEntries(
      client(ApplyDefinition),
      options,
      located.map(({ entry }) => entry),
    );
    if (answer.problems.length > 0) {
      const lines = answer.problems.map(
        ({ index, message }) => `${located[index]?.where ?? `entry ${index + 1}`}: ${message}`,
      );
      throw new SpiffeError('FAILED_PRECONDITION', ['nothing was changed:', ...lines].join('\n'));
    }
    show(withKindNames(answer), () => terminal.print(formatApplied(answer, options)));
    if (dryRun && answer.changes.length > 0) throw new ExitCode(WOULD_CHANGE);
  },
});

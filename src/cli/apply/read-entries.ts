import { SpiffeError } from '../../spiffe/error.ts';
import { readInputFile } from '../read-input-file.ts';
import type { Terminal } from '../terminal.ts';
import { findEntryFiles } from './find-entry-files.ts';
import { type LocatedEntry, parseEntries } from './parse-entries.ts';

/** Of all files together: an entry has a few hundred bytes. */
const MAX_CHARACTERS = 64 * 1024 * 1024;

/**
 * The entries of files and folders; `-` is standard input.
 *
 * @throws SpiffeError with a line for each mistake in any of the files
 */
export async function readEntries(paths: readonly string[], terminal: Terminal): Promise<readonly LocatedEntry[]> {
  const entries: LocatedEntry[] = [];
  const mistakes: string[] = [];
  let characters = 0;
  for (const path of paths) {
    for (const file of path === '-' ? ['-'] : await findEntryFiles(path)) {
      const text = await readInputFile(file, terminal);
      characters += text.length;
      if (characters > MAX_CHARACTERS) {
        throw new SpiffeError('TOO_LARGE', `the files have more than ${MAX_CHARACTERS} characters: make several sets`);
      }
      try {
        entries.push(...parseEntries(text, file === '-' ? 'standard input' : file));
      } catch (error) {
        if (!(error instanceof SpiffeError)) throw error;
        mistakes.push(error.message);
      }
    }
  }
  if (mistakes.length > 0) throw new SpiffeError('ARGUMENT_INVALID', mistakes.join('\n'));
  return entries;
}

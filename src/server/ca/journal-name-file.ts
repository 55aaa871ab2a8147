import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../files/write-file-atomically.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';

const FILE_NAME = 'ca-journal';
const NAME = /^[0-9a-z-]{1,64}$/;

/** Which CA journal of a shared database is this server's, in its data folder. */
export class JournalNameFile {
  readonly #path: string;

  constructor(dataFolder: string) {
    this.#path = join(dataFolder, FILE_NAME);
  }

  /** @throws SpiffeError `FILE_UNUSABLE` */
  async read(): Promise<string | undefined> {
    try {
      const name = (await readFile(this.#path, 'utf8')).trim();
      return NAME.test(name) ? name : undefined;
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
      const reason = messageOf(cause);
      throw new SpiffeError('FILE_UNUSABLE', `the file "${this.#path}" cannot be read: ${reason}`, { cause });
    }
  }

  /** @throws SpiffeError `FILE_UNUSABLE` */
  async write(name: string): Promise<void> {
    await writeFileAtomically(this.#path, `${name}\n`);
  }
}

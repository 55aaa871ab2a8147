import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { SpiffeError } from '../../spiffe/error.ts';

/** What SPIRE's agents of all versions leave in their data folders. */
const SPIRE_FILES = ['agent-data.json', 'agent_svid.der', 'bundle.der', 'keys.json', 'svid.key'] as const;

/** @throws SpiffeError `FILE_UNUSABLE` for a folder that a SPIRE agent keeps its data in. */
export async function requireNoSpireData(folder: string): Promise<void> {
  for (const name of SPIRE_FILES) {
    if (!(await exists(join(folder, name)))) continue;
    throw new SpiffeError(
      'FILE_UNUSABLE',
      `the data folder "${folder}" is a SPIRE agent's, it has ${name}, and SPIRE's identity is not taken over: ` +
        'name an empty folder as data_dir, and this agent attests anew',
    );
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

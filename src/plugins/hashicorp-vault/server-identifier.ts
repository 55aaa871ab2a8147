import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { readCapped, SpiffeError, writeFileAtomically } from '../../plugin-sdk/index.ts';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * What the keys of this server are told by: the UUID in the file, which is made where there is none.
 *
 * @throws SpiffeError `CONFIG_INVALID`
 */
export async function findServerIdentifier(path: string): Promise<string> {
  if (!(await exists(path))) {
    const made = randomUUID();
    await writeFileAtomically(path, made, 0o600);
    return made;
  }
  const text = (await readCapped('key_identifier_file', path)).toString('latin1').trim();
  if (UUID.test(text)) return text.toLowerCase();
  throw new SpiffeError(
    'CONFIG_INVALID',
    `key_identifier_file: "${path}" holds no UUID: put back the file that this server had`,
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

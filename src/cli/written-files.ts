import { stat } from 'node:fs/promises';
import { writeFileAtomically } from '../files/write-file-atomically.ts';
import { SpiffeError } from '../spiffe/error.ts';

const PRIVATE_MODE = 0o600;
const PUBLIC_MODE = 0o644;

/** @throws SpiffeError `FILE_UNUSABLE` */
export async function writePrivateFile(path: string, content: string): Promise<void> {
  await writeFileAtomically(path, content, PRIVATE_MODE);
}

/** @throws SpiffeError `FILE_UNUSABLE` */
export async function writePublicFile(path: string, content: string): Promise<void> {
  await writeFileAtomically(path, content, PUBLIC_MODE);
}

/** @throws SpiffeError `FILE_UNUSABLE` before anything was made that could not be kept there */
export async function requireFolder(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new SpiffeError('FILE_UNUSABLE', `the folder "${path}" does not exist: create it`);
  if (!found.isDirectory()) throw new SpiffeError('FILE_UNUSABLE', `"${path}" is no folder: name one with -write`);
}

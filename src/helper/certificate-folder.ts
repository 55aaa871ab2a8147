import { constants } from 'node:fs';
import { type FileHandle, readFile } from 'node:fs/promises';
import { below, isMissing, openHeldPath } from '../files/held-path.ts';
import { removeLeftOver } from '../files/remove-left-over.ts';
import type { FileOwner } from '../files/write-file-atomically.ts';
import { SpiffeError } from '../spiffe/error.ts';

/**
 * Opens the folder that certificates and keys are written to, anew each time: whoever owns a folder above may put another in its
 * place, but cannot have it lead to a folder that is not his.
 *
 * @throws SpiffeError `FILE_UNUSABLE`
 */
export async function openCertificateFolder(path: string): Promise<FileHandle> {
  const what = `the folder "${path}" of cert_dir`;
  const folder = await openHeldPath(path, what, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
    throw new SpiffeError('FILE_UNUSABLE', `${what} does not exist: create it`, { cause: error });
  });
  try {
    const found = await folder.stat();
    if (!found.isDirectory()) throw new SpiffeError('FILE_UNUSABLE', `"${path}" of cert_dir is no folder: name one`);
    if ((found.mode & 0o1002) === 0o002) {
      const message = `every user may replace what is in the folder "${path}" of cert_dir: run chmod o-w on it`;
      throw new SpiffeError('FILE_UNUSABLE', message);
    }
    return folder;
  } catch (error) {
    await folder.close();
    throw error;
  }
}

/**
 * Makes sure that there is the folder, and removes what a helper that was killed while it wrote has left there.
 *
 * @throws SpiffeError `FILE_UNUSABLE`
 */
export async function requireCertificateFolder(path: string): Promise<void> {
  await using folder = await openCertificateFolder(path);
  await removeLeftOver(below(folder, '.'));
}

/**
 * Finds who `user` or `user:group` is, by name in /etc/passwd and /etc/group or by number. Without a group, it is the
 * user's own.
 *
 * @throws SpiffeError `CONFIG_INVALID`
 */
export async function findOwner(text: string): Promise<FileOwner> {
  const [user = '', group] = text.split(':');
  const account = await findLine('/etc/passwd', user);
  const uid = toId(user) ?? toId(account?.[2]);
  if (uid === undefined) throw unknown(text, `there is no user ${JSON.stringify(user)} in /etc/passwd`);
  if (group === undefined) {
    const gid = toId(account?.[3]);
    if (gid === undefined) throw unknown(text, `user ${uid} is not in /etc/passwd: give its group, too`);
    return { uid, gid };
  }
  const gid = toId(group) ?? toId((await findLine('/etc/group', group))?.[2]);
  if (gid === undefined) throw unknown(text, `there is no group ${JSON.stringify(group)} in /etc/group`);
  return { uid, gid };
}

const toId = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;

/** The fields of the line for a name or, in /etc/passwd and /etc/group alike, a number in the third field. */
async function findLine(path: string, name: string): Promise<readonly string[] | undefined> {
  const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n').map((line) => line.split(':'));
  return lines.find(([first]) => first === name) ?? lines.find(([, , id]) => id === name);
}

function unknown(owner: string, reason: string): SpiffeError {
  const message = `owner ${JSON.stringify(owner)}: ${reason}; numbers, such as "999:999", do as well`;
  return new SpiffeError('CONFIG_INVALID', message);
}

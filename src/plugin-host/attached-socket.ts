import { lstat, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';

const ROOT = 0;
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Who may put a socket of his own at this path answers in the plugin's name, so that may be nobody but root, this program's
 * user and whoever owns the socket's folder. In a folder like /tmp, the socket has to be there and somebody's of these.
 *
 * @returns the users whose processes may listen there
 * @throws SpiffeError `PLUGIN_NOT_LOADED`, saying what to change
 */
export async function requireTrustedSocket(path: string): Promise<readonly number[]> {
  const real = await realpath(path).catch((cause: unknown) => {
    throw refusal(path, 'is not there: start the plugin first', cause);
  });
  const socket = await lstat(real);
  if (!socket.isSocket()) throw refusal(path, 'is not a socket');
  const folder = dirname(real);
  const owner = (await stat(folder)).uid;
  const ownUser = process.geteuid?.() ?? ROOT;
  const trusted = [...new Set([ROOT, ownUser, owner])];
  if (!trusted.includes(socket.uid)) throw refusal(path, `belongs to user ${socket.uid}`);
  for (let above = folder, place = real; ; place = above, above = dirname(above)) {
    const { mode, uid } = await stat(above);
    if (!trusted.includes(uid)) throw refusal(path, `lies below ${quoteText(above)}, a folder of user ${uid}`);
    if ((mode & WRITABLE_BY_OTHERS) !== 0 && !((mode & STICKY) !== 0 && trusted.includes((await lstat(place)).uid))) {
      throw refusal(
        path,
        `lies below ${quoteText(above)}, which others may write: take that right away, with chmod go-w`,
      );
    }
    if (above === dirname(above)) return trusted;
  }
}

function refusal(path: string, what: string, cause?: unknown): SpiffeError {
  return new SpiffeError('PLUGIN_NOT_LOADED', `the plugin's socket ${quoteText(path)} ${what}`, { cause });
}

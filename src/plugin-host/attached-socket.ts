import { lstat, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { type Step, wayTo } from './way-to.ts';

const ROOT = 0;
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

export interface TrustedSocket {
  /** Without symbolic links, so that none can be made to lead elsewhere later. */
  readonly path: string;
  /** Whose processes may listen there. */
  readonly userIds: readonly number[];
}

/**
 * Who may put a socket of his own at this path answers in the plugin's name, so that may be nobody but root, this program's
 * user and whoever owns the socket's folder. In a folder like /tmp, the socket has to be there and somebody's of these. A
 * link on the way is root's or this program's user's, or lies in that folder: another could lead to a folder of its maker's.
 *
 * @throws SpiffeError `PLUGIN_NOT_LOADED`, saying what to change
 */
export async function requireTrustedSocket(path: string): Promise<TrustedSocket> {
  const way = await wayTo(path).catch((cause: unknown) => {
    throw refusal(path, 'is not there: start the plugin first', cause);
  });
  const real = way.at(-1)?.path ?? '/';
  const socket = await lstat(real);
  if (!socket.isSocket()) throw refusal(path, 'is not a socket');
  const folder = dirname(real);
  const owner = (await stat(folder)).uid;
  const ours = [ROOT, process.geteuid?.() ?? ROOT];
  const trusted = [...new Set([...ours, owner])];
  const stranger = way.find((step) => step.isLink && !ours.includes(step.userId) && !isOwnersOwn(step, folder, owner));
  if (stranger !== undefined) {
    throw refusal(path, `is reached by way of the link ${quoteText(stranger.path)} of user ${stranger.userId}`);
  }
  if (!trusted.includes(socket.uid)) throw refusal(path, `belongs to user ${socket.uid}`);
  for (const step of way) await requireGuarded(path, step, trusted);
  return { path: real, userIds: trusted };
}

function isOwnersOwn(link: Step, folder: string, owner: number): boolean {
  return dirname(link.path) === folder && link.userId === owner;
}

/** That nobody else can put something in the place of a step. */
async function requireGuarded(path: string, step: Step, trusted: readonly number[]): Promise<void> {
  const above = dirname(step.path);
  const { mode, uid } = await stat(above);
  if (!trusted.includes(uid)) throw refusal(path, `lies below ${quoteText(above)}, a folder of user ${uid}`);
  if ((mode & WRITABLE_BY_OTHERS) === 0) return;
  if ((mode & STICKY) !== 0 && trusted.includes(step.userId)) return;
  throw refusal(path, `lies below ${quoteText(above)}, which others may write: take that right away, with chmod go-w`);
}

function refusal(path: string, what: string, cause?: unknown): SpiffeError {
  return new SpiffeError('PLUGIN_NOT_LOADED', `the plugin's socket ${quoteText(path)} ${what}`, { cause });
}

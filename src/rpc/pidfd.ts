import { closeSync, openSync, readlinkSync, readSync } from 'node:fs';
import type { Socket } from 'node:net';
import { loadAddon } from '../addon/load-addon.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { UnixPeer } from './peer.ts';
import { statFields, statusField } from './process-fields.ts';

/** Stays with its process, whatever becomes of the number. */
export interface Pidfd {
  /** Until it ends, reaped or not; `false` once closed. */
  isAlive(): boolean;
  close(): void;
}

/** What `native/peer` exports. Its functions throw errors with an `errno`. */
interface PeerAddon {
  credentialsOf(socketFd: number): { readonly pid: number; readonly uid: number; readonly gid: number };
  /** Undefined where the kernel is older than 6.5. */
  peerPidfd(socketFd: number): Pidfd | undefined;
  openPidfd(pid: number): Pidfd;
}

let addon: PeerAddon | undefined;

/**
 * The process that called connect() on the other end of a Unix socket.
 *
 * @throws SpiffeError `UNAUTHENTICATED` where it has ended, or lives in a PID namespace that cannot be seen from here.
 */
export function openUnixPeer(socket: Socket): UnixPeer {
  addon ??= loadAddon('peer') as PeerAddon;
  const credentials = credentialsOf(addon, socket);
  return peerOf(credentials, openPidfdOf(addon, socket, credentials.pid));
}

/**
 * A process of this node as if it had called.
 *
 * @throws SpiffeError `UNAUTHENTICATED` where there is none with this number
 */
export function openProcess(pid: number): UnixPeer {
  const pidfd = openPidfd(pid);
  try {
    return peerOf({ pid, ...ownerOf(pid) }, pidfd);
  } catch (error) {
    pidfd.close();
    throw error;
  }
}

function peerOf(
  { pid, uid, gid }: { readonly pid: number; readonly uid: number; readonly gid: number },
  pidfd: Pidfd,
): UnixPeer {
  try {
    const { startTimeTicks, image } = programOf(pid);
    // The number was this process's while its start time was read, if the process is there after that still.
    if (!pidfd.isAlive()) throw gone(pid);
    const isUnchanged = () => {
      const owner = ownerOf(pid);
      return owner.uid === uid && owner.gid === gid && programOf(pid).image === image && pidfd.isAlive();
    };
    return {
      kind: 'unix',
      pid,
      uid,
      gid,
      startTimeTicks,
      isAlive: () => pidfd.isAlive(),
      isUnchanged: () => pidfd.isAlive() && isUnchanged(),
      [Symbol.dispose]: () => pidfd.close(),
    };
  } catch (error) {
    pidfd.close();
    throw error;
  }
}

function credentialsOf(peer: PeerAddon, socket: Socket) {
  try {
    const credentials = peer.credentialsOf(fdOf(socket));
    if (credentials.pid > 0) return credentials;
  } catch (cause) {
    throw new SpiffeError('UNAUTHENTICATED', 'the kernel does not tell who is at the other end', { cause });
  }
  throw new SpiffeError(
    'UNAUTHENTICATED',
    'the caller is in a PID namespace that is not visible from here, share the namespace of the host',
  );
}

/** `SO_PEERPIDFD` names the process that connected; an older kernel only tells its number. */
function openPidfdOf(peer: PeerAddon, socket: Socket, pid: number): Pidfd {
  let pidfd: Pidfd | undefined;
  try {
    pidfd = peer.peerPidfd(fdOf(socket));
  } catch (cause) {
    throw gone(pid, cause);
  }
  return pidfd ?? openPidfd(pid);
}

/** A handle on the process that has this number now. @throws SpiffeError `UNAUTHENTICATED` where there is none. */
export function openPidfd(pid: number): Pidfd {
  addon ??= loadAddon('peer') as PeerAddon;
  const { startTimeTicks } = statOf(pid);
  let pidfd: Pidfd;
  try {
    pidfd = addon.openPidfd(pid);
  } catch (cause) {
    throw gone(pid, cause);
  }
  // The number may have gone to another process in between: its start time tells.
  if (pidfd.isAlive() && statOf(pid).startTimeTicks === startTimeTicks) return pidfd;
  pidfd.close();
  throw gone(pid);
}

/**
 * proc_pid_stat(5): field 22, and fields 26 to 28, where code and stack lie, which an exec puts elsewhere; they are zero
 * where this process may not know.
 */
function statOf(pid: number): { readonly startTimeTicks: number; readonly image: string } {
  const [start, ...image] = statFields(readProcess(pid, 'stat'), 22, 26, 27, 28);
  const startTimeTicks = Number(start);
  if (!Number.isSafeInteger(startTimeTicks)) throw gone(pid);
  return { startTimeTicks, image: image.join(' ') };
}

/**
 * With `image`, the executable's path as well: where its code and stack lie a process may say as it likes, by PR_SET_MM_MAP of
 * prctl(2), and nothing of its file. One that was replaced is the same still. Links are not followed: a file system of the
 * process's own might never answer.
 */
function programOf(pid: number): { readonly startTimeTicks: number; readonly image: string } {
  const { startTimeTicks, image } = statOf(pid);
  return { startTimeTicks, image: `${image} ${executableOf(pid)}` };
}

/** Empty where this process may not know. */
function executableOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`, 'latin1').replace(/ \(deleted\)$/, '');
  } catch {
    return '';
  }
}

/** The effective user and group: proc_pid_status(5). */
function ownerOf(pid: number): { readonly uid: number; readonly gid: number } {
  const status = readProcess(pid, 'status');
  const effective = (name: string) => Number(statusField(status, name)?.split(/\s+/)[1]);
  return { uid: effective('Uid'), gid: effective('Gid') };
}

/** More than what is wanted of either file: both begin with the program's name, and a process may be in many groups. */
const READ_BYTES = 4096;
const buffer = Buffer.allocUnsafeSlow(READ_BYTES);

/** Every call of a workload has this read several times: a third of what `readFileSync` takes. */
function readProcess(pid: number, name: 'stat' | 'status'): string {
  let fd: number | undefined;
  try {
    fd = openSync(`/proc/${pid}/${name}`, 'r');
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, READ_BYTES, 0));
  } catch (cause) {
    throw gone(pid, cause);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function gone(pid: number, cause?: unknown): SpiffeError {
  return new SpiffeError('UNAUTHENTICATED', `the caller, process ${pid}, has ended`, { cause });
}

/** Node keeps a socket's descriptor on its handle, which its types do not show. */
function fdOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  if (handle?.fd === undefined || handle.fd < 0) throw new SpiffeError('UNAUTHENTICATED', 'the connection has ended');
  return handle.fd;
}

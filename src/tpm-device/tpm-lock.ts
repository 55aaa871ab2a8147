import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { SpiffeError } from '../spiffe/error.ts';
import { tpmBusy } from './device-error.ts';
import { lockFolder } from './lock-folder.ts';

const POLL_MS = 25;
const MAX_RECORD_BYTES = 4096;

/**
 * Keeps our processes from hanging on one another at a TPM that serves one client at a time. The kernel frees it with the
 * process. While a holder works, the file names the handles that the TPM held before: what its next holder finds beyond
 * them was left by one that was killed.
 */
export class TpmLock implements AsyncDisposable {
  readonly #path: string;
  readonly #file: FileHandle;
  #isFinished = false;
  #isReleased = false;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** @throws SpiffeError `TPM_UNAVAILABLE` after `timeoutMs` */
  static async acquire(
    tcti: string,
    options: { tryLock(fd: number): boolean; timeoutMs: number; signal: AbortSignal | undefined },
  ): Promise<TpmLock> {
    const path = await lockPath(tcti);
    const deadline = performance.now() + options.timeoutMs;
    for (;;) {
      const file = await openLockFile(path);
      try {
        // The last holder may have removed the file that we opened.
        if (options.tryLock(file.fd) && (await isStillAt(path, file))) return new TpmLock(path, file);
        if (performance.now() >= deadline) throw tpmBusy(tcti, options.timeoutMs);
        await wait(POLL_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
      } catch (error) {
        await file.close();
        throw error;
      }
      await file.close();
    }
  }

  /** The handles that the TPM held before a holder which never finished; undefined where the last one did. */
  async readUnfinished(): Promise<ReadonlySet<number> | undefined> {
    const { buffer, bytesRead } = await this.#file.read(Buffer.alloc(MAX_RECORD_BYTES), 0, MAX_RECORD_BYTES, 0);
    if (bytesRead === 0) return undefined;
    const words = buffer.toString('ascii', 0, bytesRead).split(/\s+/);
    return new Set(words.filter((word) => /^[0-9a-f]{8}$/.test(word)).map((word) => Number.parseInt(word, 16)));
  }

  async writeUnfinished(handles: readonly number[]): Promise<void> {
    const words = ['held before:', ...handles.map((handle) => handle.toString(16).padStart(8, '0'))];
    await this.#file.truncate(0);
    await this.#file.write(`${words.join('\n')}\n`, 0);
  }

  /** The TPM holds nothing of this holder's any more. */
  finish(): void {
    this.#isFinished = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    const { size } = await this.#file.stat();
    if (this.#isFinished || size === 0) await rm(this.#path, { force: true });
    await this.#file.close();
  }
}

/**
 * Where every plugin process of this user finds the locks: not in TMPDIR, which a host gives each process anew.
 *
 * @throws SpiffeError `FILE_UNUSABLE` for a folder that somebody else made.
 */
export async function openLockFolder(): Promise<string> {
  const uid = process.getuid?.() ?? 0;
  const folder = lockFolder(uid);
  try {
    await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    });
    const { uid: owner, mode } = await lstat(folder);
    if (owner === uid && (mode & 0o022) === 0) return folder;
  } catch (cause) {
    throw new SpiffeError('FILE_UNUSABLE', `cannot make the folder ${folder} for the TPM's lock`, { cause });
  }
  throw new SpiffeError('FILE_UNUSABLE', `the folder ${folder} for the TPM's lock belongs to another user: remove it`);
}

async function lockPath(tcti: string): Promise<string> {
  const hash = createHash('sha256').update(tcti).digest('hex').slice(0, 16);
  return join(await openLockFolder(), `tpm-${hash}.lock`);
}

async function openLockFile(path: string): Promise<FileHandle> {
  const { O_CREAT, O_RDWR, O_NOFOLLOW } = constants;
  try {
    const file = await open(path, O_CREAT | O_RDWR | O_NOFOLLOW, 0o600);
    const { uid } = await file.stat();
    if (uid === process.getuid?.()) return file;
    await file.close();
  } catch (cause) {
    throw new SpiffeError('FILE_UNUSABLE', `cannot open the lock file ${path}: remove it`, { cause });
  }
  throw new SpiffeError('FILE_UNUSABLE', `the lock file ${path} belongs to another user: remove it`);
}

async function isStillAt(path: string, file: FileHandle): Promise<boolean> {
  const [opened, named] = await Promise.all([file.stat(), stat(path).catch(() => undefined)]);
  return named !== undefined && opened.dev === named.dev && opened.ino === named.ino;
}

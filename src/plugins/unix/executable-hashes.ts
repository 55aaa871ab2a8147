import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { SpiffeError } from '../../plugin-sdk/index.ts';
import type { ProcessFolder } from '../process/process-folder.ts';

const CHUNK_BYTES = 1024 * 1024;
/** Executables of a node; the one that was not asked for the longest goes first. */
const MAX_KEPT = 1_000;
/** A file may change twice within one tick of a file system's clock, and look as it did before: 2 s on FAT. */
const TICK_MS = 2_000;
/** A file that is linked or renamed while it is read looks changed, too. */
const ATTEMPTS = 3;

interface FileState {
  /** Device, inode, size and both times. */
  readonly key: string;
  readonly size: number;
  readonly changedAtMs: number;
}

/** A file that is being read, for as long as somebody waits for its hash: it may be as large as a file system lets it be. */
interface Running {
  readonly hash: Promise<string | undefined>;
  readonly end: AbortController;
  waiting: number;
}

/**
 * SHA-256 of executables, read once for each state of a file: as long as device, inode, size, and the times of its last
 * writing and of its last change are the same, it is the same; the last of these nobody can set.
 */
export class ExecutableHashes {
  readonly #kept = new Map<string, string>();
  readonly #running = new Map<string, Running>();
  readonly #clock: () => number;
  /** Files that were read. */
  #reads = 0;

  /** @param clock milliseconds since 1970. */
  constructor(clock: () => number = Date.now) {
    this.#clock = clock;
  }

  get reads(): number {
    return this.#reads;
  }

  /**
   * The hash, in hex, of the file that is mapped: what the path names may be another one by now.
   *
   * @param sizeLimit bytes; 0 for none.
   * @param signal of whoever waits: nobody reads a file to its end for who has gone.
   * @throws SpiffeError `TOO_LARGE`; `WORKLOAD_UNREADABLE` for a file that keeps changing; `CANCELLED`
   */
  async hash(process: ProcessFolder, sizeLimit: number, signal: AbortSignal): Promise<string> {
    await using file = await process.open('exe');
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (signal.aborted) throw cancelled();
      const state = await stateOf(file);
      if (sizeLimit > 0 && state.size > sizeLimit) {
        throw new SpiffeError(
          'TOO_LARGE',
          `the executable has ${state.size} bytes, and workload_size_limit is ${sizeLimit}`,
        );
      }
      const known = this.#find(state.key) ?? (await this.#shared(file, state, signal));
      if (known !== undefined) return known;
    }
    throw new SpiffeError('WORKLOAD_UNREADABLE', `the executable of process ${process.pid} changes while it is read`);
  }

  #find(key: string): string | undefined {
    const hash = this.#kept.get(key);
    if (hash === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, hash);
    return hash;
  }

  /** Many processes of one program that come at once have it read once. */
  async #shared(file: FileHandle, state: FileState, signal: AbortSignal): Promise<string | undefined> {
    const running = this.#running.get(state.key);
    if (running !== undefined) return await this.#wait(running, signal).catch(() => undefined); // whoever began it is told why it failed
    const end = new AbortController();
    const hash = this.#read(file, state, end.signal).finally(() => this.#running.delete(state.key));
    const mine = { hash, end, waiting: 0 };
    this.#running.set(state.key, mine);
    return await this.#wait(mine, signal);
  }

  async #wait(running: Running, signal: AbortSignal): Promise<string | undefined> {
    running.waiting += 1;
    const leave = () => {
      running.waiting -= 1;
      if (running.waiting === 0) running.end.abort(cancelled());
    };
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
    try {
      return await running.hash;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  /** @returns undefined where the file changed meanwhile. */
  async #read(file: FileHandle, state: FileState, signal: AbortSignal): Promise<string | undefined> {
    this.#reads += 1;
    const beganAt = this.#clock();
    const hash = await sha256(file, state.size, signal);
    if (hash === undefined || (await stateOf(file)).key !== state.key) return undefined;
    if (state.changedAtMs + TICK_MS < beganAt) this.#keep(state.key, hash);
    return hash;
  }

  #keep(key: string, hash: string): void {
    this.#kept.set(key, hash);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
  }
}

function cancelled(): SpiffeError {
  return new SpiffeError('CANCELLED', 'nobody waits for the hash any more');
}

async function stateOf(file: FileHandle): Promise<FileState> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
  return {
    key: [dev, ino, size, mtimeNs, ctimeNs].join(' '),
    size: Number(size),
    changedAtMs: Math.max(Number(mtimeNs / 1_000_000n), Number(ctimeNs / 1_000_000n)),
  };
}

/** @returns undefined where the file has not that size. */
async function sha256(file: FileHandle, size: number, signal: AbortSignal): Promise<string | undefined> {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size + 1));
  let position = 0;
  while (position <= size) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
    if (bytesRead === 0) break;
    hash.update(chunk.subarray(0, bytesRead));
    position += bytesRead;
  }
  return position === size ? hash.digest('hex') : undefined;
}

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProfilingConfig } from '../config/profiling-config.ts';
import { writeFileAtomically } from '../files/write-file-atomically.ts';
import type { Logger } from '../log/logger.ts';
import { messageOf } from '../spiffe/error.ts';
import { PROFILE_EXTENSIONS, type ProfileName, type Profiler } from './profiler.ts';

export interface ProfileFilesOptions {
  readonly config: ProfilingConfig;
  readonly names: readonly ProfileName[];
  readonly folder: string;
  readonly profiler: Profiler;
  readonly log: Logger;
}

const FOLDER_MODE = 0o750;
/** Of each kind. */
const FILES_KEPT = 10;
/** No longer, even if they are taken every hour. */
const LONGEST_SECONDS = 30;

/** Takes profiles into files, over and over. Disposing gives up the one that is being taken. */
export class ProfileFiles implements AsyncDisposable {
  readonly #options: ProfileFilesOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: ProfileFilesOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { names, config, log } = this.#options;
    const { signal } = this.#stop;
    const seconds = Math.min(config.dumpEverySeconds / (names.length + 1), LONGEST_SECONDS);
    while (!signal.aborted) {
      const startedAt = performance.now();
      for (const name of names) {
        await this.#takeOne(name, seconds).catch((error: unknown) => {
          if (signal.aborted) return;
          log.warning('a profile was not taken', { name, reason: messageOf(error) });
        });
      }
      const rest = config.dumpEverySeconds * 1000 - (performance.now() - startedAt);
      await delay(Math.max(rest, 0), undefined, { signal, ref: false }).catch(() => {}); // ends the loop
    }
  }

  async #takeOne(name: ProfileName, seconds: number): Promise<void> {
    const { folder, profiler } = this.#options;
    const text = await profiler.take(name, seconds, this.#stop.signal);
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    const time = new Date().toISOString().replaceAll(':', '-');
    await writeFileAtomically(join(folder, `${name}-${time}.${PROFILE_EXTENSIONS[name]}`), text);
    const old = (await readdir(folder)).filter((file) => file.startsWith(`${name}-`)).sort();
    for (const file of old.slice(0, -FILES_KEPT)) await rm(join(folder, file), { force: true });
  }
}

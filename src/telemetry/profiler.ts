import { Session } from 'node:inspector/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { SpiffeError } from '../spiffe/error.ts';

/** What can be taken of the program itself: where its time goes, and what allocates the memory that stays. */
export const PROFILES = ['cpu', 'heap'] as const;
export type ProfileName = (typeof PROFILES)[number];

/** As Chrome's developer tools, Visual Studio Code and speedscope open them. */
export const PROFILE_EXTENSIONS: Readonly<Record<ProfileName, string>> = { cpu: 'cpuprofile', heap: 'heapprofile' };

/** Takes profiles by sampling, one at a time: they name functions and hold no values, and so no secrets. */
export class Profiler implements Disposable {
  readonly #session = new Session();
  #isBusy = false;

  constructor() {
    this.#session.connect();
  }

  /** @returns JSON. @throws SpiffeError `FAILED_PRECONDITION` while another one is taken */
  async take(name: ProfileName, seconds: number, signal?: AbortSignal): Promise<string> {
    if (this.#isBusy) throw new SpiffeError('FAILED_PRECONDITION', 'another profile is being taken: try again later');
    this.#isBusy = true;
    try {
      const wait = () => delay(seconds * 1000, undefined, { ref: false, ...(signal && { signal }) });
      return JSON.stringify(name === 'cpu' ? await this.#cpu(wait) : await this.#heap(wait));
    } finally {
      this.#isBusy = false;
    }
  }

  [Symbol.dispose](): void {
    this.#session.disconnect();
  }

  async #cpu(wait: () => Promise<void>): Promise<unknown> {
    await this.#session.post('Profiler.enable');
    try {
      await this.#session.post('Profiler.start');
      await wait();
      return (await this.#session.post('Profiler.stop')).profile;
    } finally {
      await this.#session.post('Profiler.disable');
    }
  }

  async #heap(wait: () => Promise<void>): Promise<unknown> {
    await this.#session.post('HeapProfiler.startSampling');
    try {
      await wait();
    } catch (error) {
      await this.#session.post('HeapProfiler.stopSampling');
      throw error;
    }
    return (await this.#session.post('HeapProfiler.stopSampling')).profile;
  }
}

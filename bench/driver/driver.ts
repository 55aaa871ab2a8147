import { join } from 'node:path';
import { Child } from '../process/child.ts';
import type { LoadResult } from '../results.ts';
import type { Job, JobAnswer, LoadJob } from './job.ts';

/** The load comes from a process of its own, so that its work is not counted as ours. */
export class Driver implements AsyncDisposable {
  readonly #child: Child<Job, JobAnswer>;

  private constructor(child: Child<Job, JobAnswer>) {
    this.#child = child;
  }

  static async start(): Promise<Driver> {
    const path = join(import.meta.dirname, 'main.ts');
    return new Driver(await Child.start({ name: 'the driver', path, endSignal: 'SIGTERM' }));
  }

  /** Makes TPMs for the attestations to come. */
  async makeTpms(caPath: string): Promise<void> {
    await this.#child.ask({ kind: 'make-tpms', caPath }, 'done');
  }

  async load(job: Omit<LoadJob, 'kind'>): Promise<LoadResult> {
    const { result } = await this.#child.ask({ kind: 'load', ...job }, 'result');
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

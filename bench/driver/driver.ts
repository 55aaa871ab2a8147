import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { LoadResult } from '../results.ts';
import type { Job, JobAnswer, LoadJob } from './job.ts';

/** The load comes from a process of its own, so that its work is not counted as ours. */
export class Driver implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(): Promise<Driver> {
    const child = fork(join(import.meta.dirname, 'main.ts'), { execArgv: [], serialization: 'json' });
    await once(child, 'spawn');
    return new Driver(child);
  }

  /** Makes TPMs for the attestations to come. */
  async makeTpms(caPath: string): Promise<void> {
    await this.#run({ kind: 'make-tpms', caPath });
  }

  async load(job: Omit<LoadJob, 'kind'>): Promise<LoadResult> {
    const answer = await this.#run({ kind: 'load', ...job });
    if (answer.kind !== 'result') throw new Error(`the driver measured nothing for ${job.load}`);
    return answer.result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
  }

  #run(job: Job): Promise<JobAnswer> {
    return new Promise((resolve, reject) => {
      const ended = () => reject(new Error('the driver has ended'));
      this.#child.once('exit', ended);
      this.#child.once('message', (answer: JobAnswer) => {
        this.#child.off('exit', ended);
        if (answer.kind === 'failed') reject(new Error(answer.reason));
        else resolve(answer);
      });
      this.#child.send(job);
    });
  }
}

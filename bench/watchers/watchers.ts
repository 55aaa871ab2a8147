import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Target } from '../driver/job.ts';
import type { FromWatchers, ToWatchers } from './messages.ts';

/** Many agents in one process of its own, so that their work is not counted as ours. */
export class Watchers implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended = new Map<string, number>();

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (message: FromWatchers) => {
      if (message.kind === 'ended') this.#ended.set(message.path, message.timeMs);
    });
  }

  static async start(): Promise<Watchers> {
    const child = fork(join(import.meta.dirname, 'main.ts'), { execArgv: [], serialization: 'json' });
    await once(child, 'spawn');
    return new Watchers(child);
  }

  /** @returns the paths of the agents' SPIFFE IDs, once all of them listen. */
  async listen(target: Target, count: number, aliasPath: string): Promise<readonly string[]> {
    const answer = await this.#ask({ kind: 'start', target, count, aliasPath }, 'ready');
    return answer.kind === 'ready' ? answer.paths : [];
  }

  async mark(): Promise<void> {
    await this.#ask({ kind: 'mark' }, 'marked');
  }

  /** When each agent had synced after it was told to, by the shared clock, since the mark. */
  async syncedTimesMs(): Promise<readonly number[]> {
    const answer = await this.#ask({ kind: 'report' }, 'synced');
    return answer.kind === 'synced' ? answer.timesMs : [];
  }

  /** When an agent's stream ended, by the shared clock; undefined while it goes on. */
  endedAtMs(path: string): number | undefined {
    return this.#ended.get(path);
  }

  get endedCount(): number {
    return this.#ended.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  #ask(message: ToWatchers, kind: FromWatchers['kind']): Promise<FromWatchers> {
    return new Promise((resolve, reject) => {
      const answered = (answer: FromWatchers) => {
        if (answer.kind === 'failed') settle(() => reject(new Error(answer.reason)));
        else if (answer.kind === kind) settle(() => resolve(answer));
      };
      const exited = () => settle(() => reject(new Error('the watchers have ended')));
      const settle = (outcome: () => void) => {
        this.#child.off('message', answered);
        this.#child.off('exit', exited);
        outcome();
      };
      this.#child.on('message', answered);
      this.#child.on('exit', exited);
      this.#child.send(message);
    });
  }
}

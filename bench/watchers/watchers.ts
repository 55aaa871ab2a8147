import { join } from 'node:path';
import type { Target } from '../driver/job.ts';
import { Child } from '../process/child.ts';
import type { FromWatchers, ToWatchers } from './messages.ts';

/** Many agents in one process of its own, so that their work is not counted as ours. */
export class Watchers implements AsyncDisposable {
  readonly #child: Child<ToWatchers, FromWatchers>;
  readonly #ended = new Map<string, number>();

  private constructor(child: Child<ToWatchers, FromWatchers>) {
    this.#child = child;
    child.onMessage((message) => {
      if (message.kind === 'ended') this.#ended.set(message.path, message.timeMs);
    });
  }

  static async start(): Promise<Watchers> {
    const path = join(import.meta.dirname, 'main.ts');
    return new Watchers(await Child.start({ name: 'the process of the watchers', path, endSignal: 'SIGKILL' }));
  }

  /** @returns the paths of the agents' SPIFFE IDs, once all of them listen. */
  async listen(target: Target, count: number, aliasPath: string): Promise<readonly string[]> {
    const { paths } = await this.#child.ask({ kind: 'start', target, count, aliasPath }, 'ready');
    return paths;
  }

  async mark(): Promise<void> {
    await this.#child.ask({ kind: 'mark' }, 'marked');
  }

  /** When each agent had synced after it was told to, by the shared clock, since the mark. */
  async syncedTimesMs(): Promise<readonly number[]> {
    const { timesMs } = await this.#child.ask({ kind: 'report' }, 'synced');
    return timesMs;
  }

  /** When an agent's stream ended, by the shared clock; undefined while it goes on. */
  endedAtMs(path: string): number | undefined {
    return this.#ended.get(path);
  }

  get endedCount(): number {
    return this.#ended.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

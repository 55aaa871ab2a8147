import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ip = (...args: readonly string[]) => run('ip', args);

/** `refused`: whoever sends is told that there is no way. `silent`: what is sent vanishes. */
export type Cut = 'refused' | 'silent';

/** Two network namespaces of their own, one for the server and one for the agent, and a cable between them. Needs root. */
export class CutNetwork implements AsyncDisposable {
  readonly serverAddress = '10.83.0.1';
  readonly #suffix = randomBytes(3).toString('hex');

  private constructor() {}

  static async create(): Promise<CutNetwork> {
    const network = new CutNetwork();
    try {
      await network.#build();
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What runs a command in one of the two. */
  within(name: 'server' | 'agent'): readonly string[] {
    return ['nsenter', `--net=/run/netns/${this.#namespace(name)}`, '--'];
  }

  async cut(kind: Cut): Promise<void> {
    await this.#set(kind === 'refused' ? 'agent' : 'server', 'down');
  }

  async restore(): Promise<void> {
    for (const name of ['server', 'agent'] as const) await this.#set(name, 'up');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of ['server', 'agent'] as const) await ip('netns', 'del', this.#namespace(name)).catch(() => {});
  }

  async #build(): Promise<void> {
    const [server, agent] = [this.#namespace('server'), this.#namespace('agent')];
    for (const namespace of [server, agent]) {
      await ip('netns', 'add', namespace);
      await ip('-n', namespace, 'link', 'set', 'lo', 'up');
    }
    await ip('link', 'add', 'cable', 'netns', server, 'type', 'veth', 'peer', 'name', 'cable', 'netns', agent);
    await ip('-n', server, 'address', 'add', `${this.serverAddress}/30`, 'dev', 'cable');
    await ip('-n', agent, 'address', 'add', '10.83.0.2/30', 'dev', 'cable');
    await this.restore();
  }

  async #set(name: 'server' | 'agent', state: 'up' | 'down'): Promise<void> {
    await ip('-n', this.#namespace(name), 'link', 'set', 'cable', state);
  }

  #namespace(name: 'server' | 'agent'): string {
    return `chaos-${this.#suffix}-${name}`;
  }
}

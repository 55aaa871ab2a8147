import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const START_MS = 60_000;
const STOP_MS = 30_000;

/** A container that runs. */
export interface RunningContainer {
  readonly id: string;
  /** Of its first process, as everybody outside sees it. */
  readonly pid: number;
}

export interface RunOptions {
  readonly options?: readonly string[];
  /** Waits, where nothing is said. */
  readonly command?: readonly string[];
}

/** The command line of Docker or Podman, which have the same commands. */
export class ContainerCommands {
  readonly image = 'registry.test/team/workload:1.2';
  readonly #command: string;
  readonly #args: readonly string[];
  readonly #runOptions: readonly string[];
  readonly #removeOptions: readonly string[];

  constructor(
    [command = '', ...args]: readonly string[],
    {
      run: runOptions = [],
      remove = [],
    }: { readonly run?: readonly string[]; readonly remove?: readonly string[] } = {},
  ) {
    this.#command = command;
    this.#args = args;
    this.#removeOptions = remove;
    this.#runOptions = ['--network', 'none', ...runOptions];
  }

  /** @returns what it printed. @throws with what it said where it fails */
  async call(...args: readonly string[]): Promise<string> {
    return (await run(this.#command, [...this.#args, ...args])).stdout.trim();
  }

  /** @returns the image's ID. */
  async importImage(root: string, ...changes: readonly string[]): Promise<string> {
    return await this.call('import', ...changes.flatMap((change) => ['--change', change]), root, this.image);
  }

  async start({ options = [], command = ['/bin/sleep', '600'] }: RunOptions = {}): Promise<RunningContainer> {
    const id = await this.call('run', '-d', ...this.#runOptions, ...options, this.image, ...command);
    return { id, pid: Number(await this.call('inspect', '-f', '{{.State.Pid}}', id)) };
  }

  /** Runs a container to its end. @returns what it printed. */
  async runOnce({ options = [], command = [] }: RunOptions): Promise<string> {
    return await this.call('run', '--rm', ...this.#runOptions, ...options, this.image, ...command);
  }

  async removeAll(): Promise<void> {
    const all = (await this.call('ps', '-aq')).split('\n').filter(Boolean);
    if (all.length > 0) await this.call('rm', '-f', ...this.#removeOptions, ...all);
  }
}

/** A service of the test's own that answers on a Unix socket. */
export class SocketService implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** @param log a file that has what it says. */
  static async start(
    [command = '', ...args]: readonly string[],
    socketPath: string,
    log: string,
  ): Promise<SocketService> {
    const child = spawn('/bin/sh', ['-c', `exec "$0" "$@" >>'${log}' 2>&1`, command, ...args], { stdio: 'ignore' });
    const service = new SocketService(child);
    for (const end = Date.now() + START_MS; !(await answers(socketPath)); await wait(50)) {
      if (child.exitCode === null && child.signalCode === null && Date.now() < end) continue;
      await service[Symbol.asyncDispose]();
      throw new Error(`${command} did not start: ${(await readFile(log, 'utf8')).slice(-2_000)}`);
    }
    return service;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const insist = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await exited.finally(() => clearTimeout(insist));
  }
}

async function answers(socketPath: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const asking = request({ socketPath, path: '/_ping', timeout: 2_000 }, (response) => {
    response.resume();
    resolve(response.statusCode === 200);
  });
  asking.on('error', () => resolve(false));
  asking.on('timeout', () => asking.destroy());
  asking.end();
  return await promise;
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type NamedProcess, pluginsOf } from './proc.ts';

export interface ProgramOptions {
  readonly name: string;
  /** The built programs. */
  readonly dist: string;
  readonly args: readonly string[];
}

/** A server with 100,000 entries, on a machine that does other things too. */
const START_DEADLINE_MS = 120_000;
const POLL_MS = 2;
const GRACE_MS = 10_000;
const KEPT_OUTPUT = 4_000;

/** The built command line as a process of its own, as `bin/assayer` runs it. Disposing ends it and its plugins. */
export class Program implements AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  #output = '';

  private constructor(name: string, child: ChildProcess, pid: number) {
    this.name = name;
    this.#child = child;
    this.pid = pid;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = `${this.#output}${text}`.slice(-KEPT_OUTPUT);
      });
    }
  }

  static start({ name, dist, args }: ProgramOptions): Program {
    const child = spawn(process.execPath, [...heapFlags(args), join(dist, 'assayer.js'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...compileCache(dist) },
    });
    if (child.pid === undefined) throw new Error(`${name} has no process id`);
    return new Program(name, child, child.pid);
  }

  /** The program and its plugins. */
  get processes(): readonly NamedProcess[] {
    return [{ name: this.name, pid: this.pid }, ...pluginsOf(this.pid)];
  }

  /** Waits until somebody listens on `socketPath`. @throws Error with the program's last words. */
  async waitForSocket(socketPath: string): Promise<void> {
    await this.waitFor(`listen on ${socketPath}`, async () => await canConnect(socketPath));
  }

  /** Asks `isDone` again and again. @throws Error with the program's last words once it has ended or takes too long. */
  async waitFor(what: string, isDone: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + START_DEADLINE_MS;
    while (!(await isDone())) {
      const { exitCode, signalCode } = this.#child;
      if (exitCode !== null || signalCode !== null) {
        throw new Error(`${this.name} ended with ${signalCode ?? exitCode}:\n${this.#output}`);
      }
      if (performance.now() > deadline) {
        throw new Error(`${this.name} did not ${what} within ${START_DEADLINE_MS / 1000} s:\n${this.#output}`);
      }
      await delay(POLL_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const insist = setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS);
    await exited.finally(() => clearTimeout(insist));
  }
}

/** As `bin/assayer` has them. */
function heapFlags([command]: readonly string[]): readonly string[] {
  return command === 'agent' ? ['--max-semi-space-size=4', '--heap-growing-percent=100'] : [];
}

/** What V8 kept of the programs when they were built; `bin/assayer` names the same folder. */
export function compileCache(dist: string): Readonly<Record<string, string>> {
  return { NODE_COMPILE_CACHE: join(dist, 'compile-cache'), NODE_COMPILE_CACHE_PORTABLE: '1' };
}

function canConnect(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { ASSAYER } from '../harness/built-programs.ts';

const DEADLINE_MS = 60_000;

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input. */
  readonly input?: string;
  readonly cwd?: string;
}

/** Runs `assayer` to its end. */
export async function runCli(args: readonly string[], { env, input = '', cwd }: CliOptions = {}): Promise<CliResult> {
  const child = spawn(process.execPath, [ASSAYER, ...args], {
    env: { ...process.env, ...env },
    cwd,
    timeout: DEADLINE_MS,
  });
  child.stdin.on('error', () => undefined); // it may have ended without reading
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code: child.exitCode, stdout, stderr };
}

/** A command that goes on until it is told to stop, in a process of its own. Disposing stops it. */
export class ProgramProcess implements AsyncDisposable {
  readonly pid: number;
  readonly #child;
  readonly #observed: Readable;
  readonly #closed: Promise<unknown>;
  #text = '';

  /** @param observed the stream that {@link waitFor} looks at; the other one is not kept */
  constructor(
    args: readonly string[],
    observed: 'stdout' | 'stderr' = 'stderr',
    env: Readonly<Record<string, string>> = {},
  ) {
    this.#child = spawn(process.execPath, [ASSAYER, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    if (this.#child.pid === undefined) throw new Error('the program has no process id');
    this.pid = this.#child.pid;
    this.#closed = once(this.#child, 'close');
    this.#observed = this.#child[observed].setEncoding('utf8').on('data', (chunk: string) => {
      this.#text += chunk;
    });
    (observed === 'stdout' ? this.#child.stderr : this.#child.stdout).resume();
  }

  /** All that it has written to the stream that is observed. */
  get text(): string {
    return this.#text;
  }

  /** Resolves once the stream has this text. @throws where the program ended before */
  async waitFor(wanted: string): Promise<void> {
    while (!this.#text.includes(wanted)) {
      const hasEnded = await Promise.race([
        once(this.#observed, 'data').then(() => false),
        this.#closed.then(() => true),
      ]);
      if (hasEnded && !this.#text.includes(wanted)) throw new Error(`ended without ${wanted}: ${this.#text}`);
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Waits until it has ended. @returns the exit code, null where a signal ended it */
  async ended(): Promise<number | null> {
    await this.#closed;
    return this.#child.exitCode;
  }

  /** Asks it to end. @returns as {@link ended} */
  async stop(): Promise<number | null> {
    this.signal('SIGTERM');
    return await this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    await this.stop();
  }
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');
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

/** Runs `assayer` from its sources, to its end. */
export async function runCli(args: readonly string[], { env, input = '', cwd }: CliOptions = {}): Promise<CliResult> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, ...env },
    cwd,
    timeout: DEADLINE_MS,
  });
  child.stdin.on('error', () => undefined); // it may have ended without reading
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code: child.exitCode, stdout, stderr };
}

/** `assayer server run` or `assayer agent run` in a process of its own; killed on disposal. */
export class ProgramProcess implements AsyncDisposable {
  readonly pid: number;
  readonly #child;
  readonly #exited: Promise<unknown>;
  #stderr = '';

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    if (this.#child.pid === undefined) throw new Error('the program has no process id');
    this.pid = this.#child.pid;
    this.#exited = once(this.#child, 'exit');
    this.#child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      this.#stderr += chunk;
    });
  }

  /** All that it has written to standard error. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Resolves once standard error has this text. @throws where the program ended before */
  async waitFor(wanted: string): Promise<void> {
    while (!this.#stderr.includes(wanted)) {
      const ended = await Promise.race([
        once(this.#child.stderr, 'data').then(() => false),
        this.#exited.then(() => true),
      ]);
      if (ended && !this.#stderr.includes(wanted)) throw new Error(`ended without ${wanted}: ${this.#stderr}`);
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** @returns the exit code, null where a signal ended it */
  async stop(): Promise<number | null> {
    this.signal('SIGTERM');
    await this.#exited;
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    await this.stop();
  }
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { DemoError } from './demo-error.ts';

/** One line of a program's JSON log. */
export type LogLine = Readonly<Record<string, unknown>>;

const GRACE_MS = 5_000;
const MAX_LINE_CHARACTERS = 64 * 1024;

/** A server or agent in a process of its own. Disposing asks it to stop, then insists. */
export class Program implements AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #waiting = new Set<{ matches: (line: LogLine) => boolean; resolve: (line: LogLine) => void }>();
  readonly #exited: Promise<void>;
  #lastLine = '';
  #stopping = false;

  private constructor(name: string, child: ChildProcess, pid: number, onLine: (line: LogLine) => void) {
    this.name = name;
    this.pid = pid;
    this.#child = child;
    this.#exited = once(child, 'exit').then(() => {});
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (text) => this.#read(text, onLine));
    }
  }

  /** @param command the checkout's `bin/assayer`. */
  static async start(
    name: string,
    command: string,
    args: readonly string[],
    onLine: (line: LogLine) => void,
  ): Promise<Program> {
    // A session of its own: the terminal's Ctrl-C is for the demonstration, which stops its programs in order.
    const child = spawn(command, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    await once(child, 'spawn');
    if (child.pid === undefined) throw new DemoError(`the ${name} did not start: ${command} gave no process`);
    return new Program(name, child, child.pid, onLine);
  }

  /** The first line from now on that `matches`. @throws DemoError where the program ends or the time is over before. */
  async waitFor(matches: (line: LogLine) => boolean, deadlineMs: number): Promise<LogLine> {
    const found = Promise.withResolvers<LogLine>();
    const waiter = { matches, resolve: found.resolve };
    this.#waiting.add(waiter);
    const timer = setTimeout(
      () =>
        found.reject(new DemoError(`the ${this.name} was not ready within ${deadlineMs / 1000} s: ${this.#lastLine}`)),
      deadlineMs,
    );
    const ended = this.#exited.then(() => {
      throw new DemoError(`the ${this.name} ended: ${this.#lastLine}`);
    });
    try {
      return await Promise.race([found.promise, ended]);
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(waiter);
    }
  }

  /** Settles when the program ends without having been asked to. */
  async failed(): Promise<never> {
    await this.#exited;
    if (this.#stopping) return new Promise<never>(() => {});
    throw new DemoError(`the ${this.name} ended: ${this.#lastLine}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGTERM');
    const insist = setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS);
    await this.#exited;
    clearTimeout(insist);
  }

  #read(text: string, onLine: (line: LogLine) => void): void {
    const line = parseLine(text.slice(0, MAX_LINE_CHARACTERS));
    this.#lastLine = typeof line.msg === 'string' ? [line.msg, line.error].filter(Boolean).join(': ') : text;
    onLine(line);
    for (const waiter of this.#waiting) if (waiter.matches(line)) waiter.resolve(line);
  }
}

function parseLine(text: string): LogLine {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

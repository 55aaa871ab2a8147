import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { assayerCommand } from './assayer-command.ts';

/** One line of a program's JSON log. */
export type LogLine = Readonly<Record<string, unknown>>;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Finished extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

const START_MS = 60_000;
const GRACE_MS = 15_000;

/** `assayer` with a command that runs until it is stopped. Disposing stops it. */
export class Program implements AsyncDisposable {
  readonly pid: number;
  /** Both of its outputs, line by line. */
  readonly lines: string[] = [];
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #onLine = new Set<() => void>();
  #exit: Exit | undefined;

  private constructor(child: ChildProcess, pid: number) {
    this.pid = pid;
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line);
        for (const notify of this.#onLine) notify();
      });
    }
    this.exited = once(child, 'close').then(() => {
      this.#exit = { code: child.exitCode, signal: child.signalCode };
      for (const notify of this.#onLine) notify();
      return this.#exit;
    });
  }

  /**
   * @param temporaryFolder where it puts its sockets and locks
   * @param within a command that becomes the one that it is given, such as `nsenter`
   */
  static async start(
    args: readonly string[],
    temporaryFolder: string,
    within: readonly string[] = [],
  ): Promise<Program> {
    const { command, args: first } = assayerCommand();
    const env = { ...process.env, TMPDIR: temporaryFolder };
    const [executable = command, ...rest] = [...within, command, ...first, ...args];
    const child = spawn(executable, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    await once(child, 'spawn');
    if (child.pid === undefined) throw new Error('no process id');
    return new Program(child, child.pid);
  }

  get output(): string {
    return this.lines.join('\n');
  }

  get records(): readonly LogLine[] {
    return this.lines.map(parseLine);
  }

  get hasExited(): boolean {
    return this.#exit !== undefined;
  }

  /** Of the plugins that it said it loaded. */
  get pluginPids(): readonly number[] {
    return this.records.flatMap(({ msg, pid }) => (msg === 'plugin loaded' && typeof pid === 'number' ? [pid] : []));
  }

  /** The first record with this message. @throws where the program ends or the time is over before. */
  async waitFor(message: string, count = 1): Promise<LogLine> {
    const deadline = AbortSignal.timeout(START_MS);
    for (;;) {
      const found = this.records.filter(({ msg }) => msg === message)[count - 1];
      if (found !== undefined) return found;
      if (this.hasExited) throw new Error(`it ended before "${message}":\n${this.output}`);
      if (deadline.aborted) throw new Error(`no "${message}" within ${START_MS} ms:\n${this.output}`);
      const next = Promise.withResolvers<void>();
      this.#onLine.add(next.resolve);
      deadline.addEventListener('abort', () => next.resolve(), { once: true });
      await next.promise;
      this.#onLine.delete(next.resolve);
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** As power failure does. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  async stop(): Promise<Exit> {
    this.signal('SIGTERM');
    const insist = setTimeout(() => this.signal('SIGKILL'), GRACE_MS);
    try {
      return await this.exited;
    } finally {
      clearTimeout(insist);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.hasExited) await this.stop();
  }
}

/** Runs `assayer` with a command that ends by itself. */
export function runAssayer(...args: readonly string[]): Promise<Finished> {
  const { command, args: first } = assayerCommand();
  return new Promise((resolve) => {
    const child = execFile(command, [...first, ...args], { timeout: START_MS }, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr });
    });
  });
}

function parseLine(text: string): LogLine {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** A process of the test's own, killed on disposal. */
export class TestProcess implements AsyncDisposable {
  readonly pid: number;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>, pid: number) {
    this.pid = pid;
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  static async start(
    command: string,
    args: readonly string[],
    stderr: 'inherit' | 'ignore' = 'inherit',
  ): Promise<TestProcess> {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', stderr] });
    await once(child, 'spawn');
    if (child.pid === undefined) throw new Error(`${command} has no process id`);
    return new TestProcess(child, child.pid);
  }

  /** Runs a program of Node's own version. */
  static node(...args: readonly string[]): Promise<TestProcess> {
    return TestProcess.start(process.execPath, args);
  }

  /** The next line that it prints, or undefined once it has closed its output. */
  async readLine(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next();
    return done ? undefined : value;
  }

  writeLine(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** Reads what it prints, so that it does not wait for that, and drops it. */
  ignoreOutput(): void {
    this.#child.stdout.resume();
  }

  /** Resolved once it has ended. */
  async exited(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  /** Stops it as it is; it can be killed, and does nothing else. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

const GRACE_MS = 10_000;

/** A server in the foreground that ends its own workers when it is asked to end, on disposal. */
export class Daemon implements AsyncDisposable {
  readonly #child: ChildProcess;
  #output = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
    }
  }

  /** @param isReady asked until it is so, or the server has ended. @param env in the place of this process's */
  static async start(
    command: string,
    args: readonly string[],
    isReady: () => Promise<boolean>,
    timeoutMs = 60_000,
    env: NodeJS.ProcessEnv = process.env,
  ): Promise<Daemon> {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
    const daemon = new Daemon(child);
    await once(child, 'spawn');
    const deadline = performance.now() + timeoutMs;
    while (!(await isReady().catch(() => false))) {
      if (daemon.#hasEnded || performance.now() > deadline) {
        await daemon[Symbol.asyncDispose]();
        throw new Error(`${command} did not start: ${daemon.#output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return daemon;
  }

  /** What it printed. */
  get output(): string {
    return this.#output;
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasEnded) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const insist = setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS);
    await exited.finally(() => clearTimeout(insist));
  }
}

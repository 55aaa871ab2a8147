import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout } from 'node:timers/promises';

const READY_MS = 120_000;
const GRACE_MS = 10_000;

/** A program of the cluster, with its log in a file; disposing ends it. */
export class Daemon implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #log: string;

  private constructor(child: ChildProcess, log: string) {
    this.#child = child;
    this.#log = log;
  }

  /** @param isReady asked again and again until it is so. */
  static async start(
    command: string,
    args: readonly string[],
    log: string,
    isReady: () => Promise<boolean>,
  ): Promise<Daemon> {
    const file = openSync(log, 'w');
    const child = spawn(command, args, { stdio: ['ignore', file, file] });
    closeSync(file);
    await once(child, 'spawn');
    const daemon = new Daemon(child, log);
    const end = Date.now() + READY_MS;
    while (!(await isReady().catch(() => false))) {
      if (Date.now() > end || daemon.#isGone) {
        await daemon[Symbol.asyncDispose]();
        throw new Error(`${basename(command)} is not ready:\n${daemon.lastLines()}`);
      }
      await setTimeout(200);
    }
    return daemon;
  }

  get #isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  lastLines(count = 20): string {
    return readFileSync(this.#log, 'utf8').split('\n').slice(-count).join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isGone) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const insist = globalThis.setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS);
    await exited.finally(() => clearTimeout(insist));
  }
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { HelperConfig } from '../config/helper-config.ts';
import type { Logger } from '../log/logger.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';

export interface ManagedCommandOptions {
  readonly command: NonNullable<HelperConfig['command']>;
  readonly renewSignal: NodeJS.Signals | undefined;
  readonly log: Logger;
}

/** After SIGTERM, for what the helper itself is given ten seconds. */
const GRACE_MS = 7_000;

/**
 * A program that is started, without a shell, once there are certificates, and told of new ones by a signal. One that has
 * ended by then is run again; so is, as soon as it ends, one that no signal may tell.
 */
export class ManagedCommand implements AsyncDisposable {
  readonly #options: ManagedCommandOptions;
  #child: ChildProcess | undefined;
  #isWantedAgain = false;
  #isDisposed = false;

  constructor(options: ManagedCommandOptions) {
    this.#options = options;
  }

  /** @throws SpiffeError `FAILED_PRECONDITION` where it cannot be started */
  async renew(): Promise<void> {
    const { renewSignal, log } = this.#options;
    const child = this.#child;
    if (child === undefined) return await this.#start();
    if (renewSignal === undefined) {
      this.#isWantedAgain = true;
    } else {
      child.kill(renewSignal);
      log.info('the command was told of new certificates', { pid: child.pid, signal: renewSignal });
    }
  }

  async #start(): Promise<void> {
    const { command, log } = this.#options;
    if (this.#isDisposed) return;
    const child = spawn(command.program, command.args, { stdio: ['ignore', 'inherit', 'inherit'] });
    try {
      await once(child, 'spawn');
    } catch (cause) {
      const reason = messageOf(cause);
      const message = `the command ${JSON.stringify(command.program)} cannot be started: ${reason}`;
      throw new SpiffeError('FAILED_PRECONDITION', message, { cause });
    }
    child.on('error', (error) =>
      log.warning('the command cannot be signalled', { pid: child.pid, reason: error.message }),
    );
    this.#child = child;
    this.#isWantedAgain = false;
    if (this.#isDisposed) child.kill('SIGTERM');
    log.info('the command was started', { program: command.program, pid: child.pid });
    child.once('exit', (code, signal) => {
      this.#child = undefined;
      const level = code === 0 || this.#isDisposed ? 'info' : 'warning';
      log.log(level, 'the command has ended', { pid: child.pid, code: code ?? undefined, signal: signal ?? undefined });
      if (!this.#isWantedAgain) return;
      this.#start().catch((error: unknown) => log.error(messageOf(error)));
    });
  }

  /** Ends the command: whoever started it is going. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    const child = this.#child;
    if (child === undefined) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const insist = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
    await exited.finally(() => clearTimeout(insist));
  }
}

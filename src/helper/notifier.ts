import type { HelperConfig } from '../config/helper-config.ts';
import type { Logger } from '../log/logger.ts';
import { isSpiffeError, type SpiffeError } from '../spiffe/error.ts';
import { ManagedCommand } from './managed-command.ts';
import { readPidFile, signalProcess } from './read-pid-file.ts';
import { reloadServer } from './reload-server.ts';
import { tryAgain } from './try-again.ts';

/** Tells programs of new certificates: a command, the process of a file, a server. What fails is tried again. */
export class Notifier implements AsyncDisposable {
  readonly #actions: readonly Action[];
  readonly #command: ManagedCommand | undefined;

  constructor(config: HelperConfig, log: Logger) {
    const { command, renewSignal, pidFile, reload } = config;
    this.#command = command && new ManagedCommand({ command, renewSignal, log });
    const actions = new Map<string, () => Promise<void>>();
    if (this.#command !== undefined) actions.set('cmd', this.#command.renew.bind(this.#command));
    if (pidFile !== undefined && renewSignal !== undefined && (reload === undefined || reload.server === 'mariadb')) {
      actions.set('pid_file_name', async () => signalProcess(await readPidFile(pidFile), renewSignal));
    }
    if (reload !== undefined) actions.set('reload', () => reloadServer(reload, pidFile ?? ''));
    this.#actions = [...actions].map(([name, run]) => new Action(name, run, log));
  }

  /** Starts telling everybody; one that is still being told of the last change is told once more. */
  notify(): void {
    for (const action of this.#actions) action.start();
  }

  /** @throws SpiffeError while somebody could not be told */
  check(): void {
    for (const { problem } of this.#actions) if (problem !== undefined) throw problem;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const action of this.#actions) action.stop();
    await this.#command?.[Symbol.asyncDispose]();
  }
}

/** Somebody to tell, until that has worked. */
class Action {
  readonly #name: string;
  readonly #run: () => Promise<void>;
  readonly #log: Logger;
  #round = new AbortController();
  #last: Promise<void> = Promise.resolve();
  problem: SpiffeError | undefined;

  constructor(name: string, run: () => Promise<void>, log: Logger) {
    this.#name = name;
    this.#run = run;
    this.#log = log;
  }

  start(): void {
    this.#round.abort();
    const round = new AbortController();
    this.#round = round;
    this.#last = this.#last.then(() => this.#tell(round));
  }

  async #tell(round: AbortController): Promise<void> {
    const work = async () => {
      await this.#run();
      this.#log.info('told of new certificates', { by: this.#name });
      this.problem = undefined;
      round.abort();
      return 0;
    };
    await tryAgain(work, (error) => this.#fail(error), round.signal);
  }

  #fail(error: unknown): void {
    if (!isSpiffeError(error)) throw error;
    if (this.problem?.message !== error.message) this.#log.warning(error.message, { by: this.#name });
    this.problem = error;
  }

  stop(): void {
    this.#round.abort();
  }
}

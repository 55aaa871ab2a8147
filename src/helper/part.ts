import type { Logger } from '../log/logger.ts';
import { RemoteError } from '../rpc/status.ts';
import { isSpiffeError, messageOf, SpiffeError } from '../spiffe/error.ts';
import { Status } from '../spiffe/status.ts';

/** One thing that the helper keeps up to date, and how that goes. */
export class Part {
  readonly name: string;
  readonly #log: Logger;
  #problem: SpiffeError | undefined = new SpiffeError('FAILED_PRECONDITION', 'nothing has come from the agent yet');
  /** The moment from which on what was written is of no use. */
  #expiresAt: Date | undefined;
  #said: string | undefined;
  #isFileProblem = false;

  constructor(name: string, log: Logger) {
    this.name = name;
    this.#log = log;
  }

  /** What was written failed to be written: nothing that time alone would mend. */
  get isFileProblem(): boolean {
    return this.#isFileProblem;
  }

  succeed(expiresAt?: Date): void {
    if (this.#said !== undefined) this.#log.info('it works again', { part: this.name });
    this.#problem = undefined;
    this.#said = undefined;
    this.#isFileProblem = false;
    if (expiresAt !== undefined) this.#expiresAt = expiresAt;
  }

  /** Says so, once for each reason. What was written before still counts while it has not expired. */
  fail(error: unknown, socketPath: string): void {
    const reason = describeFailure(error, socketPath, this.#expiresAt !== undefined);
    this.#isFileProblem = isSpiffeError(error, 'FILE_UNUSABLE');
    if (this.#isFileProblem || this.#problem !== undefined) this.#problem = new SpiffeError('UNAVAILABLE', reason);
    if (this.#said === reason) return;
    this.#said = reason;
    this.#log.warning(reason, { part: this.name });
  }

  /** @throws SpiffeError while there is nothing, nothing new could be written, or what is there has expired */
  check(now: Date): void {
    if (this.#problem !== undefined) throw this.#problem;
    if (this.#expiresAt === undefined || now < this.#expiresAt) return;
    throw new SpiffeError('UNAVAILABLE', `what was written expired at ${this.#expiresAt.toISOString()}`);
  }
}

/** One sentence with what to do. */
function describeFailure(error: unknown, socketPath: string, hadSome: boolean): string {
  if (error instanceof RemoteError) {
    switch (error.status) {
      case Status.PermissionDenied:
        if (hadSome) return `no identity any more: the agent says "${error.message}"; the files stay as they are`;
        return `no identity yet: the agent says "${error.message}"; create a registration entry whose selectors match this helper`;
      case Status.Unavailable:
        return `the agent at ${socketPath} does not answer: start it, or name its socket with agent_address`;
      default:
        return `the agent answers "${error.message}" (status ${error.status})`;
    }
  }
  return messageOf(error);
}

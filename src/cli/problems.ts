import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import { formatCount } from './output.ts';

/** Gathers what is wrong with something that is shown all the same; each once. */
export class Problems {
  readonly #messages = new Set<string>();

  /** What `work` returns; undefined where it was refused. */
  attempt<Result>(work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      if (!isSpiffeError(error)) throw error;
      this.#messages.add(error.message);
      return undefined;
    }
  }

  get messages(): readonly string[] {
    return [...this.#messages];
  }
}

/** @param what is shown, such as `the event log`. @throws SpiffeError `ATTESTATION_DENIED` with each of the problems on its line */
export function requireNoProblems(what: string, problems: readonly string[]): void {
  if (problems.length === 0) return;
  const found = formatCount(problems.length, 'problem', 'problems');
  throw new SpiffeError('ATTESTATION_DENIED', [`${what} has ${found}`, ...problems].join('\n'));
}

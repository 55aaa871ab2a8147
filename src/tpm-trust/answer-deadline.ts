import { requireCheck } from '../x509/require-check.ts';

/** How long a node may take for each of its answers. */
export class AnswerDeadline {
  readonly #timeoutMs: number;
  readonly #now: () => Date | Promise<Date>;
  #askedAt = new Date(0);

  constructor(timeoutMs: number, now: () => Date | Promise<Date>) {
    this.#timeoutMs = timeoutMs;
    this.#now = now;
  }

  /** A question is about to be sent. */
  async begin(): Promise<void> {
    this.#askedAt = await this.#now();
  }

  /** An answer has come, and the next question follows. @throws SpiffeError `ATTESTATION_DENIED` (F43) */
  async requireInTime(): Promise<void> {
    const now = await this.#now();
    requireCheck(
      'F43',
      now.getTime() - this.#askedAt.getTime() <= this.#timeoutMs,
      `the challenge was not answered within ${this.#timeoutMs / 1000} s`,
    );
    this.#askedAt = now;
  }
}

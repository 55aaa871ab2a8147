import type { Logger } from '../log/logger.ts';
import { isSpiffeError, messageOf, SpiffeError } from '../spiffe/error.ts';

/** What one subsystem of a program is asked, again and again. */
export interface HealthCheck {
  /** Where SPIRE has the subsystem too, its name there, such as `server.ca`. */
  readonly name: string;
  /** What the reason of a failure is called in the details. */
  readonly reasonKey: string;
  /** Where a failure is one that the program can recover from: it is not ready then, and live. */
  readonly isLiveAnyway?: () => boolean;
  /** @throws SpiffeError what is wrong, for whoever reaches the endpoint */
  check(): Promise<void>;
}

export interface HealthState {
  readonly isLive: boolean;
  readonly isReady: boolean;
  readonly liveDetails: HealthDetails;
  readonly readyDetails: HealthDetails;
}

type HealthDetails = Readonly<Record<string, string>>;

export interface HealthChecksOptions {
  readonly checks: readonly HealthCheck[];
  readonly log: Logger;
  /** How long an answer is given again: who asks often costs no more. */
  readonly freshMs?: number;
  /** A subsystem that takes longer is not healthy. */
  readonly timeLimitMs?: number;
}

const FRESH_MS = 1_000;
const TIME_LIMIT_MS = 5_000;

/** Asks the subsystems of a program how they are, and tells the log of what changes. */
export class HealthChecks {
  readonly #checks: readonly HealthCheck[];
  readonly #log: Logger;
  readonly #freshMs: number;
  readonly #timeLimitMs: number;
  /** Also those that took too long: they are not asked once more meanwhile. */
  readonly #running = new Map<string, Promise<void>>();
  readonly #failing = new Set<string>();
  #states: Promise<ReadonlyMap<string, HealthState>> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor({ checks, log, freshMs = FRESH_MS, timeLimitMs = TIME_LIMIT_MS }: HealthChecksOptions) {
    this.#checks = checks.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    this.#log = log;
    this.#freshMs = freshMs;
    this.#timeLimitMs = timeLimitMs;
  }

  /** By subsystem, in order. */
  current(): Promise<ReadonlyMap<string, HealthState>> {
    const now = performance.now();
    if (this.#states === undefined || now - this.#askedAt >= this.#freshMs) {
      this.#askedAt = now;
      this.#states = this.#ask();
    }
    return this.#states;
  }

  async #ask(): Promise<ReadonlyMap<string, HealthState>> {
    return new Map(
      await Promise.all(this.#checks.map(async (check) => [check.name, await this.#stateOf(check)] as const)),
    );
  }

  async #stateOf(check: HealthCheck): Promise<HealthState> {
    try {
      await this.#run(check);
    } catch (error) {
      const { name, reasonKey, isLiveAnyway = () => false } = check;
      const reason = isSpiffeError(error) ? error.message : 'internal error, see the log';
      if (!this.#failing.has(name)) {
        this.#failing.add(name);
        this.#log.warning('a health check failed', {
          check: name,
          reason: messageOf(error),
          cause: error instanceof Error && error.cause instanceof Error ? error.cause.message : undefined,
        });
      }
      const isLive = isLiveAnyway();
      const details = { [reasonKey]: reason };
      return { isLive, isReady: false, liveDetails: isLive ? {} : details, readyDetails: details };
    }
    if (this.#failing.delete(check.name)) this.#log.info('a health check passes again', { check: check.name });
    return { isLive: true, isReady: true, liveDetails: {}, readyDetails: {} };
  }

  async #run({ name, check }: HealthCheck): Promise<void> {
    let running = this.#running.get(name);
    if (running === undefined) {
      running = check().finally(() => this.#running.delete(name));
      this.#running.set(name, running);
    }
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_resolve, reject) => {
      const message = `no answer within ${this.#timeLimitMs / 1000} s`;
      timer = setTimeout(() => reject(new SpiffeError('DEADLINE_EXCEEDED', message)), this.#timeLimitMs);
    });
    running.catch(() => {}); // it may fail when nobody waits any more
    await Promise.race([running, limit]).finally(() => clearTimeout(timer));
  }
}

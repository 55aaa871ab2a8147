import { randomBytes } from 'node:crypto';
import { RandomnessDefinition } from '../../gen/assayer/hostservice/replay/v1/replay.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { type Draws, TRANSCRIPT_LIMITS } from './transcript.ts';

const NANOSECONDS_PER_MS = 1_000_000n;

/** Gives fresh randomness and the time, and keeps what it gave. */
export class RandomnessRecorder {
  readonly #random: Uint8Array[] = [];
  readonly #times: Date[] = [];

  readonly service: BoundService = bindService(RandomnessDefinition, {
    draw: async ({ size }) => {
      requireSize(size);
      if (this.#random.length >= TRANSCRIPT_LIMITS.draws) throw tooMany('draws', TRANSCRIPT_LIMITS.draws);
      const random = randomBytes(size);
      this.#random.push(random);
      return { random };
    },
    now: async () => {
      if (this.#times.length >= TRANSCRIPT_LIMITS.times) throw tooMany('times', TRANSCRIPT_LIMITS.times);
      const now = new Date();
      this.#times.push(now);
      return { unixNanoseconds: nanosecondsOf(now) };
    },
  });

  get draws(): Draws {
    return { random: [...this.#random], times: [...this.#times] };
  }
}

/** Gives what was recorded, in its order. */
export class RandomnessReplay {
  readonly #draws: Draws;
  #drawn = 0;
  #asked = 0;
  #mismatch: string | undefined;

  /** @param fallback the time where none was recorded */
  constructor(draws: Draws, fallback: Date) {
    this.#draws = draws.times.length === 0 ? { ...draws, times: [fallback] } : draws;
  }

  readonly service: BoundService = bindService(RandomnessDefinition, {
    draw: async ({ size }) => {
      requireSize(size);
      const recorded = this.#draws.random[this.#drawn];
      this.#drawn += 1;
      if (recorded?.length === size) return { random: recorded };
      const difference = recorded === undefined ? 'was not recorded' : `had ${recorded.length} bytes when recorded`;
      this.#mismatch ??= `draw ${this.#drawn} of ${size} random bytes ${difference}`;
      throw new SpiffeError('FAILED_PRECONDITION', `${this.#mismatch}: record the attestation anew`);
    },
    now: async () => {
      const { times } = this.#draws;
      const now = times[Math.min(this.#asked, times.length - 1)];
      this.#asked += 1;
      if (now === undefined) throw new SpiffeError('INTERNAL', 'no time was recorded');
      return { unixNanoseconds: nanosecondsOf(now) };
    },
  });

  /** Why a draw could not be given; undefined while all could. */
  get mismatch(): string | undefined {
    return this.#mismatch;
  }
}

function requireSize(size: number): void {
  if (size >= 1 && size <= TRANSCRIPT_LIMITS.drawBytes) return;
  throw new SpiffeError('ARGUMENT_INVALID', `a draw has 1 to ${TRANSCRIPT_LIMITS.drawBytes} bytes, not ${size}`);
}

function tooMany(what: string, limit: number): SpiffeError {
  return new SpiffeError('TOO_LARGE', `more than ${limit} ${what} in one attestation`);
}

function nanosecondsOf(time: Date): bigint {
  return BigInt(time.getTime()) * NANOSECONDS_PER_MS;
}

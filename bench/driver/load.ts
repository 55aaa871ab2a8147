import { setTimeout as delay } from 'node:timers/promises';
import { cpuSecondsOf, type NamedProcess } from '../process/proc.ts';
import { type LoadResult, quantile } from '../results.ts';

export interface LoadOptions {
  readonly name: string;
  readonly callers: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** From call to call of one caller; absent, the next begins when one is answered. */
  readonly intervalMs?: number;
  /** Operations of one call. */
  readonly operationsACall: number;
  /** Whose CPU time is taken. */
  readonly processes: readonly NamedProcess[];
}

const MAX_ERRORS = 200;

/** One call; `caller` counts from 0. */
export type LoadCall = (caller: number) => Promise<void>;

/** Calls as fast as answers come, each caller one call at a time: first to warm up, then to measure. */
export async function measure(options: LoadOptions, call: LoadCall): Promise<LoadResult> {
  const tally = new LoadTally(options);
  await tally.warmUp(call);
  await tally.run(options.seconds, options.processes, call);
  return tally.result;
}

/** Adds up what is measured of one load, in as many parts as it comes. */
export class LoadTally {
  readonly #options: Omit<LoadOptions, 'seconds' | 'processes'>;
  readonly #latenciesMs: number[] = [];
  readonly #errors: string[] = [];
  readonly #cpuSeconds = new Map<string, number>();
  #seconds = 0;

  constructor(options: Omit<LoadOptions, 'seconds' | 'processes'>) {
    this.#options = options;
  }

  async warmUp(call: LoadCall): Promise<void> {
    await run(this.#options, this.#options.warmUpSeconds, call);
  }

  async run(seconds: number, processes: readonly NamedProcess[], call: LoadCall): Promise<void> {
    const before = processes.map(({ pid }) => cpuSecondsOf(pid));
    const part = await run(this.#options, seconds, call);
    for (const [index, { name, pid }] of processes.entries()) {
      const used = cpuSecondsOf(pid) - (before[index] ?? 0);
      this.#cpuSeconds.set(name, (this.#cpuSeconds.get(name) ?? 0) + used);
    }
    for (const latency of part.latenciesMs) this.#latenciesMs.push(latency);
    this.#errors.push(...part.errors);
    this.#seconds += part.seconds;
  }

  get result(): LoadResult {
    const { name, callers, operationsACall } = this.#options;
    const latenciesMs = this.#latenciesMs.toSorted((a, b) => a - b);
    const operations = latenciesMs.length * operationsACall;
    const cpuMicros = [...this.#cpuSeconds].map(([process, used]) => [process, (used * 1e6) / Math.max(operations, 1)]);
    const [firstError] = this.#errors;
    return {
      name,
      callers,
      operations,
      seconds: this.#seconds,
      perSecond: operations / this.#seconds,
      p50Ms: quantile(latenciesMs, 0.5),
      p99Ms: quantile(latenciesMs, 0.99),
      errors: this.#errors.length,
      ...(firstError === undefined ? {} : { firstError }),
      cpuMicros: Object.fromEntries(cpuMicros),
    };
  }
}

async function run(
  { callers, intervalMs }: Pick<LoadOptions, 'callers' | 'intervalMs'>,
  seconds: number,
  call: (caller: number) => Promise<void>,
) {
  const latenciesMs: number[] = [];
  const errors: string[] = [];
  const start = performance.now();
  const end = start + seconds * 1000;
  await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      for (let now = performance.now(); now < end && errors.length < MAX_ERRORS; ) {
        if (intervalMs !== undefined) {
          await delay(intervalMs * (0.5 + Math.random())); // as callers that know nothing of each other
          now = performance.now();
        }
        try {
          await call(caller);
          const answered = performance.now();
          latenciesMs.push(answered - now);
          now = answered;
        } catch (error) {
          errors.push(error instanceof Error ? error.message : String(error));
          now = performance.now();
        }
      }
    }),
  );
  return { latenciesMs, errors, seconds: (performance.now() - start) / 1000 };
}

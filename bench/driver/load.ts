import { cpuSecondsOf, type NamedProcess } from '../process/proc.ts';
import { type LoadResult, quantile } from '../results.ts';

export interface LoadOptions {
  readonly name: string;
  readonly callers: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Operations of one call. */
  readonly operationsACall: number;
  /** Whose CPU time is taken. */
  readonly processes: readonly NamedProcess[];
}

const MAX_ERRORS = 200;

/** Calls as fast as answers come, each caller one call at a time: first to warm up, then to measure. */
export async function measure(options: LoadOptions, call: (caller: number) => Promise<void>): Promise<LoadResult> {
  const { name, callers, processes, operationsACall } = options;
  await run(callers, options.warmUpSeconds, call);
  const before = processes.map(({ pid }) => cpuSecondsOf(pid));
  const { latenciesMs, seconds, errors } = await run(callers, options.seconds, call);
  const operations = latenciesMs.length * operationsACall;
  const cpuMicros = processes.map(({ name: process, pid }, index) => {
    const used = cpuSecondsOf(pid) - (before[index] ?? 0);
    return [process, (used * 1e6) / Math.max(operations, 1)];
  });
  latenciesMs.sort((a, b) => a - b);
  return {
    name,
    callers,
    operations,
    seconds,
    perSecond: operations / seconds,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    errors: errors.length,
    ...(errors[0] === undefined ? {} : { firstError: errors[0] }),
    cpuMicros: Object.fromEntries(cpuMicros),
  };
}

async function run(callers: number, seconds: number, call: (caller: number) => Promise<void>) {
  const latenciesMs: number[] = [];
  const errors: string[] = [];
  const start = performance.now();
  const end = start + seconds * 1000;
  await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      for (let now = performance.now(); now < end && errors.length < MAX_ERRORS; ) {
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

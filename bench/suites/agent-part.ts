import type { BenchAgent } from '../process/agent.ts';
import { memoryOf } from '../process/proc.ts';
import type { MemoryMoment } from '../results.ts';
import type { LoadsOptions } from './server-loads.ts';

export interface AgentSuiteOptions extends LoadsOptions {
  readonly streams: number;
  readonly entries: number;
}

/** What one part of the suite measured. */
export interface AgentPart<Result> {
  readonly results: readonly Result[];
  readonly memory: readonly MemoryMoment[];
}

/** One after the other. */
export async function measureEach<Variant, Result>(
  variants: readonly Variant[],
  measure: (variant: Variant) => Promise<{ readonly result: Result; readonly memory: readonly MemoryMoment[] }>,
): Promise<AgentPart<Result>> {
  const results: Result[] = [];
  const memory: MemoryMoment[] = [];
  for (const variant of variants) {
    const { result, memory: taken } = await measure(variant);
    results.push(result);
    memory.push(...taken);
  }
  return { results, memory };
}

/** What the agent and its plugins have now. */
export function momentOf({ program }: BenchAgent, when: string): MemoryMoment {
  return { when, processes: program.processes.map(({ name, pid }) => ({ process: name, ...memoryOf(pid) })) };
}

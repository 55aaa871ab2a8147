import { BenchHost } from '../process/host.ts';
import { hotPlugins } from '../process/plugins.ts';
import { memoryOf } from '../process/proc.ts';
import type { MemoryResult, TimesResult } from '../results.ts';

export interface PluginStartsResult {
  readonly starts: readonly TimesResult[];
  /** Of the last start. */
  readonly memory: readonly MemoryResult[];
}

/** Each plugin started by the host in its sandbox, ours and Go's in turns: until its handshake, and until it can be called. */
export async function measurePluginStarts(
  dist: string,
  { runs, report }: { runs: number; report: (line: string) => void },
): Promise<PluginStartsResult> {
  const plugins = await hotPlugins(report);
  const times = plugins.map(({ name }) => ({ name, handshakeMs: [] as number[], readyMs: [] as number[] }));
  let memory: readonly MemoryResult[] = [];
  for (let run = 0; run <= runs; run += 1) {
    memory = [];
    for (const [index, { name, side, plugin, others }] of plugins.entries()) {
      await using host = await BenchHost.load(dist, side, [plugin, ...others]);
      const [process] = host.processesOf(plugin.name, name).slice(1);
      if (process !== undefined) memory = [...memory, { process: name, when: 'ready', ...memoryOf(process.pid) }];
      const { handshakeMs, readyMs } = host.startOf(plugin.name);
      if (run === 0) continue; // it reads files that the next find in memory
      times[index]?.handshakeMs.push(handshakeMs);
      times[index]?.readyMs.push(readyMs);
    }
  }
  return {
    starts: times.flatMap(({ name, handshakeMs, readyMs }) => [
      { name: `${name}: handshake`, timesMs: handshakeMs },
      { name: `${name}: ready`, timesMs: readyMs },
    ]),
    memory,
  };
}

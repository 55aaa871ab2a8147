import type { Driver } from '../driver/driver.ts';
import { TRUST_DOMAIN } from '../process/server.ts';
import type { AgentResults, LoadResult, MemoryMoment, MemoryResult } from '../results.ts';
import { measureEntries } from './agent-entries.ts';
import type { AgentSuiteOptions } from './agent-part.ts';
import { measureStreams } from './agent-streams.ts';
import { startAgent } from './started-agent.ts';
import { entryOfThisUser, measureWorkloadLoads } from './workload-loads.ts';

/** What an agent does for its workloads, with `unix` as its attestor, a process of its own, confined. */
export async function measureAgent(driver: Driver, options: AgentSuiteOptions): Promise<AgentResults> {
  const { isWanted, seconds } = options;
  const loads = await measureWorkloadLoads(driver, options);
  const calm = isWanted('first-answer') ? [await measureFirstAnswer(driver, options)] : [];
  const streams = isWanted('streams') ? await measureStreams(options) : NOTHING;
  const entries = isWanted('entries') ? await measureEntries(options) : NOTHING;
  return {
    secondsALoad: seconds,
    loads: [...loads.loads, ...calm],
    streams: streams.results,
    entries: entries.results,
    memory: [...momentsOf(loads.memory), ...streams.memory, ...entries.memory],
  };
}

const NOTHING = { results: [], memory: [] };

function momentsOf(memory: readonly MemoryResult[]): readonly MemoryMoment[] {
  return [...new Set(memory.map(({ when }) => when))].map((when) => ({
    when,
    processes: memory.filter((one) => one.when === when),
  }));
}

/** Of each caller; as many calls as fast as they can be answered measure how many there are, not how long one takes. */
const INTERVAL_MS = 100;

/** How long a workload waits that asks now and then, as seven others do. */
async function measureFirstAnswer(driver: Driver, options: AgentSuiteOptions): Promise<LoadResult> {
  await using started = await startAgent(options, 'first-answer', [entryOfThisUser('/node')]);
  const { server, agent } = started;
  const { adminSocket, port } = server;
  const { workloadSocket } = agent;
  const result = await driver.load({
    load: 'wl-x509',
    target: { trustDomain: TRUST_DOMAIN, adminSocket, port, workloadSocket },
    callers: options.callers,
    seconds: options.seconds,
    warmUpSeconds: Math.min(options.seconds, 2),
    intervalMs: INTERVAL_MS,
    processes: agent.program.processes,
  });
  options.report(`first answer: ${result.p50Ms.toFixed(2)} ms at p50, ${result.p99Ms.toFixed(2)} ms at p99`);
  return { ...result, name: `first answer, a call every ${INTERVAL_MS} ms` };
}

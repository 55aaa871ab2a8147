import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import type { Driver } from '../driver/driver.ts';
import { createEntries } from '../driver/entries.ts';
import { BenchAgent } from '../process/agent.ts';
import { memoryOf } from '../process/proc.ts';
import { BenchServer, TRUST_DOMAIN } from '../process/server.ts';
import type { AgentResults, LoadResult, MemoryMoment, MemoryResult } from '../results.ts';
import { measureEntries } from './agent-entries.ts';
import { measureStreams } from './agent-streams.ts';
import type { LoadsOptions } from './server-loads.ts';
import { entryOfThisUser, measureWorkloadLoads } from './workload-loads.ts';

export interface AgentSuiteOptions extends LoadsOptions {
  readonly streams: number;
  readonly entries: number;
}

/** What an agent does for its workloads, with `unix` as its attestor, a process of its own, confined. */
export async function measureAgent(driver: Driver, options: AgentSuiteOptions): Promise<AgentResults> {
  const { isWanted, seconds } = options;
  const loads = await measureWorkloadLoads(driver, options);
  const calm = isWanted('first-answer') ? [await measureFirstAnswer(driver, options)] : [];
  const streams = isWanted('streams') ? await measureStreams(options) : { streams: [], memory: [] };
  const entries = isWanted('entries') ? await measureEntries(options) : { entries: [], memory: [] };
  return {
    secondsALoad: seconds,
    loads: [...loads.loads, ...calm],
    streams: streams.streams,
    entries: entries.entries,
    memory: [...momentsOf(loads.memory), ...streams.memory, ...entries.memory],
  };
}

function momentsOf(memory: readonly MemoryResult[]): readonly MemoryMoment[] {
  return [...new Set(memory.map(({ when }) => when))].map((when) => ({
    when,
    processes: memory.filter((one) => one.when === when),
  }));
}

/** What the agent and its plugins have now. */
export function momentOf({ program }: BenchAgent, when: string): MemoryMoment {
  return { when, processes: program.processes.map(({ name, pid }) => ({ process: name, ...memoryOf(pid) })) };
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

export interface StartedAgent extends AsyncDisposable {
  readonly server: BenchServer;
  readonly agent: BenchAgent;
  /** From the start of the agent's process to a workload's X.509-SVID. */
  readonly startMs: number;
}

/** A server with these entries, and an agent of it that has given this process an X.509-SVID. */
export async function startAgent(
  { folder, dist }: LoadsOptions,
  name: string,
  entries: Parameters<typeof createEntries>[1],
): Promise<StartedAgent> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await BenchServer.start({ folder: `${folder}/${name}-server`, dist }));
  for (let start = 0; start < entries.length; start += ENTRIES_A_CALL) {
    await createEntries(server.channel, entries.slice(start, start + ENTRIES_A_CALL));
  }
  const request = { ttl: 600, token: '', agentId: { trustDomain: TRUST_DOMAIN, path: '/node' } };
  const { value: joinToken } = await server.admin(AgentDefinition).createJoinToken(request);
  const startedAt = performance.now();
  const evidence = { joinToken };
  const agent = stack.use(await BenchAgent.start({ folder: `${folder}/${name}-agent`, dist, server, evidence }));
  await agent.waitForSvid();
  const startMs = performance.now() - startedAt;
  const owner = stack.move();
  return { server, agent, startMs, [Symbol.asyncDispose]: () => owner.disposeAsync() };
}

const ENTRIES_A_CALL = 500;

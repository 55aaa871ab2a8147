import { setTimeout as delay } from 'node:timers/promises';
import { SpiffeWorkloadAPIDefinition } from '../../src/gen/workload/workload.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import type { EntrySpec } from '../driver/entries.ts';
import { cpuSecondsOf, idleCpuPercentOf, memoryOf } from '../process/proc.ts';
import { type BenchServer, TRUST_DOMAIN } from '../process/server.ts';
import type { EntriesResult } from '../results.ts';
import { type AgentPart, type AgentSuiteOptions, measureEach, momentOf } from './agent-part.ts';
import { pushEntries } from './pushed-entries.ts';
import { startAgent } from './started-agent.ts';
import { entryOfThisUser } from './workload-loads.ts';

const SETTLE_MS = 5_000;
/** An agent that is told of changes asks every 30 s all the same. */
const IDLE_MS = 60_000;
const PUSHES = 20;
const QUIET_MS = 200;

/** An agent with one entry, and one with many. */
export async function measureEntries(options: AgentSuiteOptions): Promise<AgentPart<EntriesResult>> {
  return await measureEach([1, options.entries], async (count) => await measureCount(options, count));
}

async function measureCount(options: AgentSuiteOptions, count: number) {
  const specs = Array.from({ length: count - 1 }, (_, number) => entryOf(number));
  await using started = await startAgent(options, `entries-${count}`, [entryOfThisUser('/node'), ...specs]);
  const { agent, server, startMs } = started;
  const startCpuMs = cpuSecondsOf(agent.program.pid) * 1000;
  options.report(`${count} entries: the first SVID after ${startMs.toFixed(0)} ms`);
  await delay(SETTLE_MS);
  const before = performance.now();
  await agent.restart();
  await agent.waitForSvid();
  const restartMs = performance.now() - before;
  const { pid } = agent.program;
  const restartCpuMs = cpuSecondsOf(pid) * 1000;
  await delay(SETTLE_MS);
  const idleCpuPercent = await idleCpuPercentOf(pid, IDLE_MS);
  const pushCpuBefore = cpuSecondsOf(pid);
  const pushMs = await push(server, agent.workloadSocket);
  const pushCpuMicros = ((cpuSecondsOf(pid) - pushCpuBefore) * 1e6) / PUSHES;
  const { pssMiB } = memoryOf(pid);
  const result: EntriesResult = {
    entries: count,
    startMs,
    startCpuMs,
    restartMs,
    restartCpuMs,
    idleCpuPercent,
    pushMs,
    pushCpuMicros,
    pssMiB,
  };
  return { result, memory: [momentOf(agent, `${count.toLocaleString('en-US')} entries`)] };
}

/** @returns how long each of some entries took to come to an open stream. */
async function push(server: BenchServer, workloadSocket: string): Promise<readonly number[]> {
  using channel = RpcChannel.unix(workloadSocket);
  const api = createClient(SpiffeWorkloadAPIDefinition, channel);
  await using stream = api.fetchX509SVID({}, { metadata: { 'workload.spiffe.io': 'true' } });
  const { created } = await pushEntries(server, stream, PUSHES, QUIET_MS);
  return created;
}

/** Of a workload that is not there. */
function entryOf(number: number): EntrySpec {
  return {
    trustDomain: TRUST_DOMAIN,
    path: `/ns/namespace-${number % 50}/sa/service-${number}`,
    parentPath: '/node',
    selectors: [
      ['k8s', `ns:namespace-${number % 50}`],
      ['k8s', `sa:service-${number}`],
    ],
  };
}

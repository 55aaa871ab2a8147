import { setTimeout as delay } from 'node:timers/promises';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { SpiffeWorkloadAPIDefinition } from '../../src/gen/workload/workload.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { createEntries, type EntrySpec } from '../driver/entries.ts';
import { cpuSecondsOf, memoryOf } from '../process/proc.ts';
import { type BenchServer, TRUST_DOMAIN } from '../process/server.ts';
import type { EntriesResult, MemoryMoment } from '../results.ts';
import { type AgentSuiteOptions, momentOf, startAgent } from './agent.ts';
import { waitForIds } from './push.ts';
import { entryOfThisUser } from './workload-loads.ts';

export interface EntriesResults {
  readonly entries: readonly EntriesResult[];
  readonly memory: readonly MemoryMoment[];
}

const SETTLE_MS = 5_000;
/** An agent that is told of changes asks every 30 s all the same. */
const IDLE_MS = 60_000;
const PUSHES = 20;
const QUIET_MS = 200;

/** An agent with one entry, and one with many. */
export async function measureEntries(options: AgentSuiteOptions): Promise<EntriesResults> {
  const results: EntriesResult[] = [];
  const memory: MemoryMoment[] = [];
  for (const count of [1, options.entries]) {
    const { result, moment } = await measureCount(options, count);
    results.push(result);
    memory.push(moment);
  }
  return { entries: results, memory };
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
  const idleBefore = cpuSecondsOf(pid);
  await delay(IDLE_MS);
  const idleCpuPercent = ((cpuSecondsOf(pid) - idleBefore) / (IDLE_MS / 1000)) * 100;
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
  return { result, moment: momentOf(agent, `${count.toLocaleString('en-US')} entries`) };
}

/** Entries that come and go, one after the other. @returns how long each took to come to an open stream. */
async function push(server: BenchServer, workloadSocket: string): Promise<readonly number[]> {
  using channel = RpcChannel.unix(workloadSocket);
  const api = createClient(SpiffeWorkloadAPIDefinition, channel);
  await using stream = api.fetchX509SVID({}, { metadata: { 'workload.spiffe.io': 'true' } });
  const times: number[] = [];
  for (let number = 0; number < PUSHES; number += 1) {
    const path = `/pushed/${number}`;
    const before = performance.now();
    const [id = ''] = await createEntries(server.channel, [{ ...entryOfThisUser('/node'), path }]);
    await waitForIds(stream, (paths) => paths.includes(path));
    times.push(performance.now() - before);
    await delay(QUIET_MS);
    await server.admin(EntryDefinition).batchDeleteEntry({ ids: [id] });
    await waitForIds(stream, (paths) => !paths.includes(path));
    await delay(QUIET_MS);
  }
  return times;
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

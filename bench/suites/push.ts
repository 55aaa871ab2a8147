import { setTimeout as delay } from 'node:timers/promises';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { SpiffeWorkloadAPIDefinition } from '../../src/gen/workload/workload.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { createEntries } from '../driver/entries.ts';
import { cpuSecondsOf, memoryOf } from '../process/proc.ts';
import { type BenchServer, TRUST_DOMAIN } from '../process/server.ts';
import type { MemoryResult, PushResult } from '../results.ts';
import { sharedNowMs } from '../watchers/messages.ts';
import { Watchers } from '../watchers/watchers.ts';
import { pushEntries, waitForIds } from './pushed-entries.ts';
import { startAgent } from './started-agent.ts';
import { entryOfThisUser } from './workload-loads.ts';

export interface PushOptions {
  readonly folder: string;
  readonly dist: string;
  /** Agents in all: one of them is real. */
  readonly agents: number;
  /** Entries that are made and deleted, one after the other. */
  readonly samples: number;
  readonly report: (line: string) => void;
}

export interface PushResults {
  readonly pushes: readonly PushResult[];
  readonly memory: readonly MemoryResult[];
}

const BANS = 20;
const FLEET = '/fleet';
/** Longer than it takes to tell everybody. */
const FLEET_MS = 60_000;
const QUIET_MS = 100;

/** From a call on the admin socket to the workload's open stream, with many agents that listen. */
export async function measurePush({ folder, dist, agents, samples, report }: PushOptions): Promise<PushResults> {
  await using started = await startAgent({ folder, dist }, 'push', [{ ...entryOfThisUser('/node'), path: '/always' }]);
  const { server, agent } = started;
  const memory: MemoryResult[] = [memoryNow(server, 'started')];
  await using watchers = await Watchers.start();
  const { adminSocket, port } = server;
  const target = { trustDomain: TRUST_DOMAIN, adminSocket, port, workloadSocket: agent.workloadSocket };
  const paths = await watchers.listen(target, agents - 1, FLEET);
  memory.push({ ...memoryNow(server, 'started'), when: 'all agents listen' });
  report(`${paths.length} agents listen beside a real one`);
  const measure = measurer(agents, report);

  using channel = RpcChannel.unix(agent.workloadSocket);
  const api = createClient(SpiffeWorkloadAPIDefinition, channel);
  await using stream = api.fetchX509SVID({}, { metadata: { 'workload.spiffe.io': 'true' } });
  await waitForIds(stream, (ids) => ids.includes('/always'));
  const cpuBefore = cpuSecondsOf(server.program.pid);
  const { created, deleted } = await pushEntries(server, stream, samples, QUIET_MS);
  const cpuMicros = ((cpuSecondsOf(server.program.pid) - cpuBefore) / (2 * samples)) * 1e6;
  const pushes: PushResult[] = [
    { ...measure('entry created → SVID in the stream', created), cpuMicros },
    { ...measure('entry deleted → stream told', deleted), cpuMicros },
  ];

  await watchers.mark();
  const fleetCpu = cpuSecondsOf(server.program.pid);
  const before = sharedNowMs();
  await createEntries(server.channel, [{ ...entryOfThisUser(FLEET), path: '/for-all' }]);
  let synced = await watchers.syncedTimesMs();
  for (const deadline = before + FLEET_MS; synced.length < paths.length; synced = await watchers.syncedTimesMs()) {
    if (sharedNowMs() > deadline) throw new Error(`${synced.length} of ${paths.length} agents were told`);
    await delay(QUIET_MS);
  }
  const times = synced.map((time) => time - before);
  const fleetMicros = ((cpuSecondsOf(server.program.pid) - fleetCpu) / paths.length) * 1e6;
  pushes.push({ ...measure('entry of all agents → each has synced', times), cpuMicros: fleetMicros });

  const bans: number[] = [];
  for (const path of paths.slice(0, BANS)) {
    const beforeBan = sharedNowMs();
    await server.admin(AgentDefinition).banAgent({ id: { trustDomain: TRUST_DOMAIN, path } });
    while (watchers.endedAtMs(path) === undefined) await delay(1);
    bans.push((watchers.endedAtMs(path) ?? 0) - beforeBan);
    await delay(QUIET_MS);
  }
  if (watchers.endedCount !== BANS) throw new Error(`${watchers.endedCount} streams ended, ${BANS} agents were banned`);
  pushes.push(measure('agent banned → its stream ended', bans));
  memory.push(memoryNow(server, 'after all loads'));
  return { pushes, memory };
}

function measurer(agents: number, report: (line: string) => void) {
  return (name: string, times: readonly number[]): PushResult => {
    report(`push: ${name}: ${Math.round(Math.max(...times))} ms at most`);
    return { name, agents, timesMs: times };
  };
}

function memoryNow(server: BenchServer, when: MemoryResult['when']): MemoryResult {
  return { process: 'server', when, ...memoryOf(server.program.pid) };
}

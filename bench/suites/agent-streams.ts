import { chmod } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry, EntryMask } from '../../src/gen/spire/api/types/types.ts';
import { cpuSecondsOf, idleCpuPercentOf, memoryOf } from '../process/proc.ts';
import { type BenchServer, TRUST_DOMAIN } from '../process/server.ts';
import type { RotationResult, StreamsResult } from '../results.ts';
import { StreamHolders } from '../streams/stream-holders.ts';
import { sharedNowMs } from '../watchers/messages.ts';
import { type AgentPart, type AgentSuiteOptions, measureEach, momentOf } from './agent-part.ts';
import { startAgent } from './started-agent.ts';
import { entryOfThisUser } from './workload-loads.ts';

/** Nobody else's. */
const GID = 61_000;
const ROTATIONS = 5;
/** For what the opening of streams left to be done, and for what an agent does by itself. */
const SETTLE_MS = 3_000;
const IDLE_MS = 10_000;

/** Streams each on a connection of its own, as workloads have them, and streams that share connections. */
export async function measureStreams(options: AgentSuiteOptions): Promise<AgentPart<StreamsResult>> {
  return await measureEach([1, 100], async (streamsAConnection) => await measureOne(options, streamsAConnection));
}

async function measureOne(options: AgentSuiteOptions, streamsAConnection: number) {
  const { folder, streams, report } = options;
  const gid = process.getuid?.() === 0 ? GID : (process.getgid?.() ?? 0);
  const entry = {
    ...entryOfThisUser('/node'),
    path: '/streams',
    selectors: [['unix', `gid:${gid}`] as const],
  };
  const name = `streams-${streamsAConnection}`;
  await using started = await startAgent(options, name, [entryOfThisUser('/node'), entry]);
  const { agent, server, entryIds } = started;
  const [, id = ''] = entryIds;
  await Promise.all([folder, `${folder}/${name}-agent`].map((path) => chmod(path, 0o711))); // for other users
  const { pid } = agent.program;
  await delay(SETTLE_MS);
  const before = memoryOf(pid);
  const memory = [momentOf(agent, 'started')];
  await using holders = await StreamHolders.open({
    socketPath: agent.workloadSocket,
    streams,
    gid,
    streamsAConnection,
  });
  await delay(SETTLE_MS);
  const after = memoryOf(pid);
  const kind = `${streams.toLocaleString('en-US')} streams on ${holders.connections.toLocaleString('en-US')} connections`;
  memory.push(momentOf(agent, kind));
  const idleCpuPercent = await idleCpuPercentOf(pid, IDLE_MS);
  const rotations: RotationResult[] = [];
  for (let number = 0; number < ROTATIONS; number += 1) {
    const rotation = await rotate(server, holders, pid, id, number, streams);
    report(
      `${streams} streams: the last was told ${(rotation.firstMs + rotation.spreadMs).toFixed(0)} ms after the change`,
    );
    rotations.push(rotation);
  }
  memory.push(momentOf(agent, `${kind}, after ${ROTATIONS} rotations`));
  const result: StreamsResult = {
    streams,
    connections: holders.connections,
    rssKiB: ((after.rssMiB - before.rssMiB) * 1024) / streams,
    pssKiB: ((after.pssMiB - before.pssMiB) * 1024) / streams,
    idleCpuPercent,
    rotations,
  };
  return { result, memory };
}

/** Another DNS name, and so another X.509-SVID, of the one entry that all streams are for. */
async function rotate(
  server: BenchServer,
  holders: StreamHolders,
  pid: number,
  id: string,
  number: number,
  streams: number,
): Promise<RotationResult> {
  const told = await holders.mark();
  const cpuBefore = cpuSecondsOf(pid);
  const changedAt = sharedNowMs();
  await server.admin(EntryDefinition).batchUpdateEntry({
    entries: [Entry.fromPartial({ id, dnsNames: [`rotation-${number}.${TRUST_DOMAIN}`] })],
    inputMask: EntryMask.fromPartial({ dnsNames: true }),
    outputMask: undefined,
  });
  const times = (await told()).toSorted((a, b) => a - b);
  const [first = Number.NaN] = times;
  await delay(SETTLE_MS);
  return {
    firstMs: first - changedAt,
    spreadMs: (times.at(-1) ?? Number.NaN) - first,
    cpuMicros: ((cpuSecondsOf(pid) - cpuBefore) * 1e6) / streams,
  };
}

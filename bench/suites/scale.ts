import { mkdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { openDatastore } from '../../src/datastore/datastore.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { createClient } from '../../src/rpc/client.ts';
import { openAdmin } from '../driver/connections.ts';
import { attestAgentWithEntries } from '../driver/entries.ts';
import { measure } from '../driver/load.ts';
import { cpuSecondsOf, memoryOf } from '../process/proc.ts';
import { BenchServer, TRUST_DOMAIN } from '../process/server.ts';
import type { ScalePoint, ScaleResult } from '../results.ts';
import { FILLS, type ScaledKind } from '../scale/fill.ts';

export interface ScaleOptions {
  readonly folder: string;
  readonly dist: string;
  readonly seconds: number;
  readonly report: (line: string) => void;
}

/** How many there are, from measurement to measurement. */
const COUNTS: Readonly<Record<ScaledKind, readonly number[]>> = {
  entry: [0, 10_000, 25_000, 50_000, 100_000],
  agent: [0, 1_000, 2_500, 5_000, 10_000],
  'federated bundle': [0, 100, 250, 500, 1_000],
};
/** Of the agent that syncs. */
const OWN_ENTRIES = 1000;
/** Memory that the start needed is given back. */
const SETTLE_MS = 3000;

/** What a server costs with more and more of one kind, which it finds in its database when it starts. */
export async function measureScale({ folder, dist, seconds, report }: ScaleOptions): Promise<readonly ScaleResult[]> {
  const results: ScaleResult[] = [];
  for (const [name, counts] of Object.entries(COUNTS)) {
    const kind = name as ScaledKind;
    const own = `${folder}/${kind.replace(' ', '-')}`;
    await mkdir(`${own}/data`, { recursive: true, mode: 0o700 });
    const points: ScalePoint[] = [];
    for (const [index, count] of counts.entries()) {
      await fill(`${own}/data/datastore.sqlite3`, kind, counts[index - 1] ?? 0, count);
      const point = await measurePoint(own, dist, count, seconds);
      report(`${count} × ${kind}: start ${point.startMs.toFixed(0)} ms, PSS ${point.pssMiB.toFixed(0)} MiB`);
      points.push(point);
    }
    results.push({ kind, points });
  }
  return results;
}

async function fill(path: string, kind: ScaledKind, from: number, to: number): Promise<void> {
  await using datastore = await openDatastore({ path });
  await FILLS[kind](datastore, from, to);
}

async function measurePoint(folder: string, dist: string, count: number, seconds: number): Promise<ScalePoint> {
  const startedAt = performance.now();
  await using server = await BenchServer.start({ folder, dist });
  const startMs = performance.now() - startedAt;
  const { pid } = server.program;
  const startCpuMs = cpuSecondsOf(pid) * 1000;
  await delay(SETTLE_MS);
  const { pssMiB } = memoryOf(pid);
  const { adminSocket, port } = server;
  const target = { trustDomain: TRUST_DOMAIN, adminSocket, port, workloadSocket: '' };
  using admin = openAdmin(target);
  const { channel } = await attestAgentWithEntries(target, admin, OWN_ENTRIES);
  using _connection = channel;
  const entries = createClient(EntryDefinition, channel);
  const options = {
    name: 'sync',
    callers: 1,
    seconds,
    warmUpSeconds: 1,
    operationsACall: 1,
    processes: [{ name: 'server', pid }],
  };
  const sync = await measure(options, async () => {
    await using call = entries.syncAuthorizedEntries();
    await call.send({ outputMask: undefined, ids: [] });
    if ((await call.receive()) === undefined) throw new Error('the sync ended without an answer');
    call.end();
    await call.receive();
  });
  if (sync.firstError !== undefined) throw new Error(`a sync failed: ${sync.firstError}`);
  return {
    count,
    startMs,
    startCpuMs,
    pssMiB,
    syncP50Ms: sync.p50Ms,
    syncP99Ms: sync.p99Ms,
    syncCpuMicros: sync.cpuMicros.server ?? Number.NaN,
  };
}

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ManagedKey } from '../../src/plugin-host/kinds/key-manager.ts';
import type { WorkloadAttestor } from '../../src/plugin-host/kinds/workload-attestor.ts';
import { LoadTally } from '../driver/load.ts';
import { DEEDS, type Deed } from '../hostile/deeds.ts';
import { CHECKOUT } from '../process/checkout.ts';
import { BenchHost, pluginConfig } from '../process/host.ts';
import { groupOf } from '../process/proc.ts';
import type { NeighbourResult } from '../results.ts';

const DIGEST = new Uint8Array(32).fill(7);
/** Turns of each kind: short ones, so that whatever else the machine does falls on both alike. */
const TURNS = 10;
/** The hostile plugin is called again this often: it may have been started anew. */
const PROVOKE_MS = 50;
/** What docs/plugins/sandbox.md advises for a plugin that is not trusted. */
const CPU_WEIGHT = 25;
const SETTLE_MS = 500;
/** What it may do it saves up while it is stopped, and spends first: that is not what it costs in the long run. */
const SPEND_MS = 500;

/**
 * `SignData` at the key manager beside a plugin that does harm in its sandbox, and while that one is stopped, in turns.
 * The host is this process.
 *
 * @param options.seconds of all turns of a kind
 */
export async function measureNeighbours(
  dist: string,
  options: { readonly seconds: number; readonly callers: number; readonly report: (line: string) => void },
): Promise<readonly NeighbourResult[]> {
  const results: NeighbourResult[] = [];
  for (const deed of deedNames) {
    const result = await measureBeside(dist, deed, options);
    results.push(result);
    const rate = (result.beside.perSecond / result.alone.perSecond).toFixed(2);
    options.report(`beside a plugin that ${DEEDS[deed]}: ${rate} of the rate`);
  }
  return results;
}

const deedNames = Object.keys(DEEDS).filter((name): name is Deed => name in DEEDS);

async function measureBeside(
  dist: string,
  deed: Deed,
  { seconds, callers }: { readonly seconds: number; readonly callers: number },
): Promise<NeighbourResult> {
  await using host = await BenchHost.load(dist, 'agent', [
    pluginConfig({ type: 'KeyManager', name: 'memory' }),
    pluginConfig({ type: 'NodeAttestor', name: 'join_token' }),
    hostilePlugin(deed),
  ]);
  const { keyManager, workloadAttestors } = host.catalog;
  const [hostile] = workloadAttestors;
  if (hostile === undefined) throw new Error('the hostile plugin is not loaded');
  const key = await keyManager.generateKey('bench', 'ec-p256');
  const sign = async () => await signOnce(key);
  const processes = host.processes.filter(({ name }) => name !== 'hostile');
  const tally = () => new LoadTally({ name: DEEDS[deed], callers, warmUpSeconds: 0.5, operationsACall: 1 });
  const [alone, beside] = [tally(), tally()];
  await alone.warmUp(sign);
  const over = new AbortController();
  const provoking = provoke(hostile, over.signal);
  await delay(SETTLE_MS);
  for (let turn = 0; turn < TURNS; turn += 1) {
    signalHostile(host, 'SIGSTOP');
    await alone.run(seconds / TURNS, processes, sign);
    signalHostile(host, 'SIGCONT');
    await delay(SPEND_MS);
    await beside.run(seconds / TURNS, processes, sign);
  }
  over.abort();
  await provoking;
  return { alone: alone.result, beside: beside.result };
}

/** To the plugin's whole process group. */
function signalHostile(host: BenchHost, signal: 'SIGSTOP' | 'SIGCONT'): void {
  const pid = host.processes.find(({ name }) => name === 'hostile')?.pid;
  try {
    if (pid !== undefined) process.kill(-groupOf(pid), signal);
  } catch {
    // it has just ended, or is being started again
  }
}

async function signOnce(key: ManagedKey): Promise<void> {
  await key.signDigest(DIGEST, 'sha256');
}

async function provoke(hostile: WorkloadAttestor, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    await hostile.attest(process.pid, over).catch(() => {}); // it is busy, or has just been killed
    await delay(PROVOKE_MS, undefined, { signal: over }).catch(() => {});
  }
}

/** In a sandbox that an operator would give to a plugin that is not trusted. */
function hostilePlugin(deed: Deed) {
  return pluginConfig({
    type: 'WorkloadAttestor',
    name: 'hostile',
    command: process.execPath,
    args: [join(CHECKOUT, 'bench', 'hostile', 'hostile-plugin.ts')],
    data: { text: `deed = "${deed}"` },
    sandbox: {
      enabled: true,
      required: false,
      user: process.getuid?.() === 0 ? 'own' : 'host',
      readable: ['src', 'node_modules', 'package.json', 'bench'].map((name) => join(CHECKOUT, name)),
      network: 'none',
      processes: 64,
      memoryBytes: 1024 ** 3,
      cpuWeight: deed === 'cpuAtFullWeight' ? undefined : CPU_WEIGHT,
      env: [],
    },
  });
}

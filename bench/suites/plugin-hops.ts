import { LoadTally } from '../driver/load.ts';
import { BenchHost } from '../process/host.ts';
import { type HotPlugin, hotPlugins } from '../process/plugins.ts';
import type { LoadResult } from '../results.ts';

const DIGEST = new Uint8Array(32).fill(7);
/** Turns of each plugin: short ones, so that whatever else the machine does falls on all alike. */
const TURNS = 8;

interface Hop {
  readonly host: BenchHost;
  readonly plugin: HotPlugin;
  readonly call: () => Promise<void>;
}

/**
 * One unary call from the host through the plugin's Unix socket and back, ours and Go's in turns; the host is this process.
 *
 * @param options.seconds of all turns of a plugin
 */
export async function measureHops(
  dist: string,
  { seconds, callers, report }: { seconds: number; callers: number; report: (line: string) => void },
): Promise<readonly LoadResult[]> {
  await using resources = new AsyncDisposableStack();
  const hops: Hop[] = [];
  for (const plugin of await hotPlugins(report)) {
    const host = resources.use(await BenchHost.load(dist, plugin.side, [plugin.plugin, ...plugin.others]));
    hops.push({ host, plugin, call: await callOf(host, plugin) });
  }
  const results: LoadResult[] = [];
  for (const atOnce of [1, callers]) {
    const tallies = hops.map((hop) => ({ ...hop, tally: tallyOf(hop.plugin, atOnce) }));
    for (const { tally, call } of tallies) await tally.warmUp(call);
    for (let turn = 0; turn < TURNS; turn += 1) {
      for (const { tally, host, plugin, call } of tallies) {
        await tally.run(seconds / TURNS, host.processesOf(plugin.plugin.name, 'plugin'), call);
      }
    }
    results.push(...tallies.map(({ tally }) => tally.result));
  }
  return results;
}

function tallyOf({ name }: HotPlugin, callers: number): LoadTally {
  return new LoadTally({ name: `${name}, ${callers} at once`, callers, warmUpSeconds: 1, operationsACall: 1 });
}

/** `SignData` with a P-256 key, or `Attest` of this process. */
async function callOf({ catalog }: BenchHost, { plugin }: HotPlugin): Promise<() => Promise<void>> {
  if (plugin.type === 'KeyManager') {
    const key = await catalog.keyManager.generateKey('bench', 'ec-p256');
    return async () => {
      await key.signDigest(DIGEST, 'sha256');
    };
  }
  const [attestor] = catalog.workloadAttestors;
  if (attestor === undefined) throw new Error(`${plugin.name} is not loaded`);
  const { signal } = new AbortController();
  return async () => {
    await attestor.attest(process.pid, signal);
  };
}

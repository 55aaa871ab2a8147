import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { buildGo } from '../harness/go.ts';
import { Authorities } from './authorities.ts';
import { ChaosDomain } from './chaos-domain.ts';
import { converged } from './convergence.ts';
import { EntryBook } from './entry-book.ts';
import { churnEntries } from './entry-churn.ts';
import { Invariants, type Violation } from './invariants.ts';
import { leftOver } from './left-over.ts';
import { Random } from './random.ts';
import { Storm, type StormRecord } from './storm.ts';
import { type Place, Workload } from './workload.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly lengthMs: number;
  readonly workloads: number;
  /** Told of every round. */
  readonly onProgress?: (text: string) => void;
  /** Ends it after the round that is under way. */
  readonly signal?: AbortSignal;
  /** Where the logs of all programs go at the end. */
  readonly logFolder?: string | undefined;
}

export interface ChaosSummary {
  readonly rounds: number;
  readonly violations: readonly Violation[];
  /** What was broken how often. */
  readonly broken: ReadonlyMap<string, number>;
  /** What workloads were told how often. */
  readonly told: ReadonlyMap<string, number>;
  /** From the end of each storm until every workload had just what it is entitled to, in milliseconds. */
  readonly wellAfterMs: readonly number[];
  /** From each start of the agent to the first answer that a workload got, in milliseconds. */
  readonly agentBackMs: readonly number[];
}

/** No change takes longer while nothing is broken, and no workload is without its identity longer once all is well again. */
const BOUND_MS = 20_000;

/** Worth a line. */
const SLOW_MS = 3_000;
const WORKLOAD_API_MODULE = fileURLToPath(new URL('../interop/workload-api', import.meta.url));
const FIRST_UID = 61_000;
const FIRST_GID = 62_000;
const LANES = ['north', 'south', 'west'];
const GROUPS = 4;

/** Storms in which everything is killed and cut under load, and calms in which all has to come right again. */
export async function runChaos(options: ChaosOptions): Promise<ChaosSummary> {
  const { seed, lengthMs, workloads: count, onProgress = () => {}, signal } = options;
  const random = new Random(seed);
  const executable = await buildGo(WORKLOAD_API_MODULE, 'churn');
  await using resources = new AsyncDisposableStack();
  const domain = resources.use(await ChaosDomain.start());
  resources.defer(async () => {
    if (options.logFolder !== undefined) await writeLogs(domain, options.logFolder);
  });
  const { deployment, disturbances } = domain;
  const { adminSocket, workloadSocket: socketPath } = deployment;
  const book = new EntryBook({ adminSocket, parentPath: '/node', disturbances, graceMs: BOUND_MS });
  const invariants = new Invariants(book, (what) => onProgress(`violated: ${what}`));
  const places = Array.from({ length: count }, (_, index) => placeOf(index));
  for (const place of places.filter((_, index) => index % 3 !== 0))
    await book.create([`unix:uid:${place.uid}`], 'steady');

  const workloads: Workload[] = [];
  const startWorkload = async (place: Place): Promise<Workload> => {
    const workload: Workload = await Workload.start({
      executable,
      socketPath,
      place,
      seed: random.integer(2 ** 30),
      onTold: (told) => invariants.look(workload, told),
    });
    return workload;
  };
  resources.defer(async () => {
    await Promise.all(workloads.map((workload) => workload[Symbol.asyncDispose]()));
  });
  for (const place of places) workloads.push(await startWorkload(place));

  const replaceWorkload = async (choice: Random): Promise<void> => {
    const index = choice.integer(workloads.length);
    const before = workloads[index];
    if (before === undefined) return;
    await before[Symbol.asyncDispose]();
    workloads[index] = await startWorkload(before.place);
  };
  const authorities = new Authorities(adminSocket);
  const record: StormRecord = { counts: new Map(), agentBackMs: [] };
  const storm = new Storm({ domain, authorities, invariants, record, replaceWorkload });
  const wellAfterMs: number[] = [];
  const endsAt = Date.now() + lengthMs;
  let round = 0;
  const beCalm = async (): Promise<void> => {
    const lost = await book.settle();
    if (lost.length > 0) invariants.violate(`the server lost entries that it had confirmed: ${lost.join(', ')}`);
    const { ms, faults, last } = await converged(workloads, book, { wellAt: Date.now(), boundMs: BOUND_MS });
    if (faults.length > 0) {
      const some = faults.slice(0, 4).join('; ');
      invariants.violate(`${ms} ms after all was well, ${faults.length} faults: ${some}`);
    }
    if (ms > SLOW_MS) onProgress(`well after ${ms} ms, the last were: ${last.slice(0, 3).join('; ')}`);
    wellAfterMs.push(ms);
  };
  await beCalm();
  while (Date.now() < endsAt && signal?.aborted !== true) {
    round += 1;
    const rage = random.fork(round);
    const churn = new AbortController();
    const churning = churnEntries(book, places, random.fork(-round), churn.signal);
    await storm.rage(rage.between(3_000, 9_000), rage).finally(() => churn.abort());
    await churning;
    await beCalm();
    if (round % 5 === 0) await wait(BOUND_MS); // long enough for nobody to be excused any more
    await authorities.lookAfter();
    onProgress(`round ${round}: well after ${wellAfterMs.at(-1)} ms, ${invariants.violations.length} violations`);
  }
  await Promise.all(workloads.splice(0).map((workload) => workload[Symbol.asyncDispose]()));
  for (const what of await leftOver(domain)) invariants.violate(what);
  return {
    rounds: round,
    violations: invariants.violations,
    broken: record.counts,
    told: invariants.counts,
    wellAfterMs,
    agentBackMs: record.agentBackMs,
  };
}

async function writeLogs({ deployment }: ChaosDomain, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const logs = deployment.programs.map(({ pid, output }, index) =>
    writeFile(join(folder, `${String(index).padStart(4, '0')}-${pid}.log`), `${output}\n`),
  );
  await Promise.all(logs);
}

function placeOf(index: number): Place {
  return {
    uid: FIRST_UID + index,
    gid: FIRST_GID + (index % GROUPS),
    lane: LANES[index % LANES.length] ?? '',
  };
}

import type { Driver } from '../driver/driver.ts';
import { type LoadName, SERVER_LOADS } from '../driver/job.ts';
import { memoryOf } from '../process/proc.ts';
import type { Program } from '../process/program.ts';
import { BenchServer, TRUST_DOMAIN } from '../process/server.ts';
import type { LoadResult, MemoryResult } from '../results.ts';

export interface LoadsOptions {
  readonly folder: string;
  readonly dist: string;
  readonly seconds: number;
  readonly callers: number;
  readonly isWanted: (name: string) => boolean;
  readonly report: (line: string) => void;
}

export interface LoadsResult {
  readonly loads: readonly LoadResult[];
  readonly memory: readonly MemoryResult[];
}

/** 100 entries a call, 16 calls at once: as the other figures of this load were taken. */
const CREATE_CALLERS = 16;

/** The server's API, one load after the other on one server; what signs, on another one that does so in its own memory too. */
export async function measureServerLoads(driver: Driver, options: LoadsOptions): Promise<LoadsResult> {
  const { folder, dist, isWanted } = options;
  const wanted = SERVER_LOADS.filter(isWanted);
  const signing = SIGNING_LOADS.filter((name) => isWanted(inMemory(name)));
  const results: LoadsResult[] = [];
  if (wanted.length > 0) {
    const ekCaPath = `${folder}/ek-ca.pem`;
    await driver.makeTpms(ekCaPath);
    await using server = await BenchServer.start({ folder: `${folder}/server`, dist, ekCaPath });
    results.push(await measureLoads(driver, wanted, [server.program], { server, workloadSocket: '' }, options));
  }
  if (signing.length > 0) {
    await using server = await BenchServer.start({ folder: `${folder}/signing`, dist, caSigning: 'intermediate' });
    const { loads } = await measureLoads(driver, signing, [server.program], { server, workloadSocket: '' }, options);
    results.push({ loads: loads.map((load) => ({ ...load, name: inMemory(load.name) })), memory: [] });
  }
  return { loads: results.flatMap(({ loads }) => loads), memory: results.flatMap(({ memory }) => memory) };
}

const SIGNING_LOADS = ['mint-x509', 'mint-jwt', 'batch-x509'] as const;
/** `ca_signing = "intermediate"`. */
const inMemory = (name: string): string => `intermediate, ${name}`;

/** Takes the memory of `programs` before and after the loads. */
export async function measureLoads(
  driver: Driver,
  names: readonly LoadName[],
  programs: readonly Program[],
  { server, workloadSocket }: { readonly server: BenchServer; readonly workloadSocket: string },
  { callers, seconds, report }: LoadsOptions,
): Promise<LoadsResult> {
  const { adminSocket, port } = server;
  const target = { trustDomain: TRUST_DOMAIN, adminSocket, port, workloadSocket };
  const processes = programs.flatMap((program) => program.processes);
  const memoryNow = (when: MemoryResult['when']): readonly MemoryResult[] =>
    processes.map(({ name, pid }) => ({ process: name, when, ...memoryOf(pid) }));
  const memory = [...memoryNow('started')];
  const loads: LoadResult[] = [];
  for (const load of names) {
    const result = await driver.load({
      load,
      target,
      callers: load === 'create-entries' ? CREATE_CALLERS : callers,
      seconds,
      warmUpSeconds: Math.min(seconds, 2),
      processes,
    });
    report(`${load}: ${result.perSecond.toFixed(0)} a second${result.firstError ? `, ${result.firstError}` : ''}`);
    loads.push(result);
  }
  return { loads, memory: [...memory, ...memoryNow('after all loads')] };
}

import type { ProcessMemory } from './process/proc.ts';

/** All that one run measured; what `--json` writes. */
export interface BenchResults {
  readonly takenAt: string;
  readonly machine: Machine;
  readonly secondsALoad: number;
  readonly loads: readonly LoadResult[];
  readonly starts: readonly TimesResult[];
  readonly pluginStarts: readonly TimesResult[];
  readonly handshakes: readonly TimesResult[];
  readonly signing: readonly LoadResult[];
  readonly hops: readonly LoadResult[];
  readonly neighbours: readonly NeighbourResult[];
  readonly pushes: readonly PushResult[];
  readonly memory: readonly MemoryResult[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  /** Load average of the minute before: others that were at work disturb. */
  readonly loadBefore: number;
}

/** Operations, as many as went, by a number of callers at once. */
export interface LoadResult {
  readonly name: string;
  readonly callers: number;
  readonly operations: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Of a call, which may be many operations. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  readonly firstError?: string;
  /** User and system time of each process an operation, in microseconds. */
  readonly cpuMicros: Readonly<Record<string, number>>;
}

/** A load at one plugin, without and with another one that does harm. */
export interface NeighbourResult {
  readonly alone: LoadResult;
  readonly beside: LoadResult;
}

/** Signatures by a key manager over a PKCS#11 module, and by that module called in a loop; with as many sessions as callers. */
export interface Pkcs11Result {
  readonly load: LoadResult;
  readonly ownPerSecond: number;
}

/** How long something took, each time; milliseconds. */
export interface TimesResult {
  readonly name: string;
  readonly timesMs: readonly number[];
}

/** How long it took until a change had come to where it belongs, each time; with so many agents that listen. */
export interface PushResult {
  readonly name: string;
  readonly agents: number;
  readonly timesMs: readonly number[];
  /** The server's, a change; of a change that concerns all agents, an agent. */
  readonly cpuMicros?: number;
}

export interface MemoryResult extends ProcessMemory {
  readonly process: string;
  readonly when: 'ready' | 'started' | 'all agents listen' | 'first SVID' | 'after all loads';
}

/** A server that has found so many things of one kind in its database. */
export interface ScalePoint {
  readonly count: number;
  /** From the start of the process until it answers. */
  readonly startMs: number;
  /** User and system time until then. */
  readonly startCpuMs: number;
  readonly pssMiB: number;
  /** Of an agent with 1,000 entries, one at a time. */
  readonly syncP50Ms: number;
  readonly syncP99Ms: number;
  readonly syncCpuMicros: number;
}

export interface ScaleResult {
  readonly kind: 'entry' | 'agent' | 'federated bundle';
  readonly points: readonly ScalePoint[];
}

/** Streams that workloads hold open at an agent, and hear of rotations by. */
export interface StreamsResult {
  readonly streams: number;
  readonly connections: number;
  /** What the agent's process grew by, a stream. */
  readonly rssKiB: number;
  readonly pssKiB: number;
  /** CPU of an agent with all streams open and nothing to tell, as a share of one core. */
  readonly idleCpuPercent: number;
  /** Of each rotation. */
  readonly rotations: readonly RotationResult[];
}

export interface RotationResult {
  /** From the change at the server to the first stream that hears of it, and from that to the last one. */
  readonly firstMs: number;
  readonly spreadMs: number;
  /** User and system time of the agent, a stream. */
  readonly cpuMicros: number;
}

/** An agent with so many entries. */
export interface EntriesResult {
  readonly entries: number;
  /** From the start of the process to a workload's X.509-SVID: attestation, the first sync and SVIDs ahead of their use. */
  readonly startMs: number;
  readonly startCpuMs: number;
  /** The same of an agent that starts again, from what it has on disk. */
  readonly restartMs: number;
  readonly restartCpuMs: number;
  /** While nothing changes, as a share of one core. */
  readonly idleCpuPercent: number;
  /** From a new entry on the server to the open stream of a workload. */
  readonly pushMs: readonly number[];
  /** User and system time of the agent for one entry that comes and goes. */
  readonly pushCpuMicros: number;
  readonly pssMiB: number;
}

/** What `npm run bench -- agent` measures. */
export interface AgentResults {
  readonly secondsALoad: number;
  readonly loads: readonly LoadResult[];
  readonly streams: readonly StreamsResult[];
  readonly entries: readonly EntriesResult[];
  readonly memory: readonly MemoryMoment[];
}

/** What `npm run bench -- tpm` measures of whole servers. */
export interface AttestationResults {
  readonly loads: readonly LoadResult[];
  readonly memory: readonly MemoryMoment[];
}

/** Of a program and its plugins. */
export interface MemoryMoment {
  readonly when: string;
  readonly processes: readonly (ProcessMemory & { readonly process: string })[];
}

/** @param fraction 0.5 for the median. @param sorted ascending */
export function quantile(sorted: readonly number[], fraction: number): number {
  return sorted[Math.floor(fraction * (sorted.length - 1))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}

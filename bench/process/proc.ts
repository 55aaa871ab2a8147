import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A process under a name that a reader understands: `server`, `server-memory`. */
export interface NamedProcess {
  readonly name: string;
  readonly pid: number;
}

export interface ProcessMemory {
  /** Pages in memory, shared ones too. */
  readonly rssMiB: number;
  /** Shared pages count by their share. */
  readonly pssMiB: number;
}

const TICKS_A_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** User and system time of a plugin's processes, in seconds. */
export function cpuSecondsOf(pid: number): number {
  return sum(treeOf(pid).map(ownCpuSeconds));
}

/** What it takes of one core from now on, while nothing is asked of it. */
export async function idleCpuPercentOf(pid: number, milliseconds: number): Promise<number> {
  const before = cpuSecondsOf(pid);
  await delay(milliseconds);
  return ((cpuSecondsOf(pid) - before) / (milliseconds / 1000)) * 100;
}

/** Of a process and all of its threads: fields 14 and 15. */
function ownCpuSeconds(pid: number): number {
  return (statOf(pid, 14) + statOf(pid, 15)) / TICKS_A_SECOND;
}

/** The process group that a process is in. */
export function groupOf(pid: number): number {
  return statOf(pid, 5);
}

/** @param field counted from 1, as in proc_pid_stat(5); from 3 on */
function statOf(pid: number, field: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[field - 3]);
}

export function memoryOf(pid: number): ProcessMemory {
  const memory = treeOf(pid).map(ownMemory);
  return { rssMiB: sum(memory.map(({ rssMiB }) => rssMiB)), pssMiB: sum(memory.map(({ pssMiB }) => pssMiB)) };
}

/** @see proc_pid_smaps(5) */
function ownMemory(pid: number): ProcessMemory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mebibytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1]) / 1024;
  return { rssMiB: mebibytes('Rss'), pssMiB: mebibytes('Pss') };
}

/** The processes that a program of ours has started: its plugins, by the names of their bundles. */
export function pluginsOf(pid: number): readonly NamedProcess[] {
  return childrenOf(pid).map((child) => ({ name: nameOf(child), pid: child }));
}

/** A plugin in a process namespace of its own has the launcher above it. A server's or agent's own plugins do not count as it. */
function treeOf(pid: number): readonly number[] {
  if (!/(^|\0)[^\0]*sandbox\0/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))) return [pid];
  return [pid, ...childrenOf(pid).flatMap(treeOf)];
}

function childrenOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`)
    .flatMap((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' '))
    .filter((child) => child !== '')
    .map(Number);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function nameOf(pid: number): string {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  const program = words.find((word) => word.endsWith('.js')) ?? words[0] ?? String(pid);
  return basename(program, '.js');
}

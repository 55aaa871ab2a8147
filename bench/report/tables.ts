import {
  type BenchResults,
  type LoadResult,
  type Machine,
  type MemoryMoment,
  type MemoryResult,
  median,
  type NeighbourResult,
  type PushResult,
  quantile,
  type TimesResult,
} from '../results.ts';
import { OTHERS } from './others.ts';

/** Markdown, which a terminal shows well enough. */
export function formatResults(results: BenchResults): string {
  const { machine, takenAt, secondsALoad } = results;
  const sections = [
    machineLine(machine, takenAt, `${secondsALoad} s a load; `),
    section('Start', timesTable(results.starts)),
    section('Loads', loadsTable(results.loads)),
    section('Push: from a change to where it belongs', pushTable(results.pushes)),
    section('Signing through the key manager plugin', loadsTable(results.signing)),
    section('From the host to a plugin and back', loadsTable(results.hops)),
    section('Signing beside a plugin that does harm', neighboursTable(results.neighbours)),
    section('Start of a plugin by its host, in its sandbox', timesTable(results.pluginStarts)),
    section('Start of a plugin to its handshake', timesTable(results.handshakes)),
    section('Memory, MiB', memoryTable(results.memory)),
  ];
  return `${sections.filter((text) => text !== '').join('\n\n')}\n`;
}

/** Where and when it was measured. */
export function machineLine(machine: Machine, takenAt: string, how = ''): string {
  const { cores, cpu, memoryGiB, kernel, node, loadBefore } = machine;
  return (
    `${cores} cores of ${cpu}, ${memoryGiB} GiB, Linux ${kernel}, Node ${node}; ` +
    `load average before ${loadBefore.toFixed(2)}; ${how}${takenAt.slice(0, 10)}.`
  );
}

function section(title: string, table: string): string {
  return table === '' ? '' : `### ${title}\n\n${table}`;
}

export function loadsTable(loads: readonly LoadResult[]): string {
  if (loads.length === 0) return '';
  const header = ['load', 'callers', 'a second', 'SPIRE', 'p50 ms', 'p99 ms', 'CPU µs an operation', 'errors'];
  return table(
    header,
    loads.map(({ name, callers, perSecond, p50Ms, p99Ms, cpuMicros, errors }) => [
      name,
      String(callers),
      whole(perSecond),
      OTHERS[name] === undefined ? '' : whole(OTHERS[name]),
      p50Ms.toFixed(2),
      p99Ms.toFixed(2),
      Object.entries(cpuMicros)
        .filter(([, micros]) => micros >= 1)
        .map(([process, micros]) => `${process} ${whole(micros)}`)
        .join(', '),
      String(errors),
    ]),
  );
}

function neighboursTable(neighbours: readonly NeighbourResult[]): string {
  if (neighbours.length === 0) return '';
  const before = ['a second before', 'meanwhile', 'lost %', 'p99 ms before', 'meanwhile'];
  const header = ['the other plugin', ...before, "host's CPU µs an operation before", 'meanwhile', 'errors'];
  return table(
    header,
    neighbours.map(({ alone, beside }) => [
      beside.name,
      whole(alone.perSecond),
      whole(beside.perSecond),
      whole((1 - beside.perSecond / alone.perSecond) * 100),
      alone.p99Ms.toFixed(2),
      beside.p99Ms.toFixed(2),
      whole(alone.cpuMicros.host ?? Number.NaN),
      whole(beside.cpuMicros.host ?? Number.NaN),
      String(alone.errors + beside.errors),
    ]),
  );
}

function timesTable(times: readonly TimesResult[]): string {
  if (times.length === 0) return '';
  return table(
    ['what', 'median ms', 'least ms', 'most ms', 'runs'],
    times.map(({ name, timesMs }) => [
      name,
      whole(median(timesMs)),
      whole(Math.min(...timesMs)),
      whole(Math.max(...timesMs)),
      String(timesMs.length),
    ]),
  );
}

function pushTable(pushes: readonly PushResult[]): string {
  if (pushes.length === 0) return '';
  return table(
    ['what', 'agents', 'times', 'p50 ms', 'p99 ms', 'most ms', "server's CPU µs"],
    pushes.map(({ name, agents, timesMs, cpuMicros }) => {
      const sorted = timesMs.toSorted((a, b) => a - b);
      return [
        name,
        whole(agents),
        String(sorted.length),
        quantile(sorted, 0.5).toFixed(1),
        quantile(sorted, 0.99).toFixed(1),
        (sorted.at(-1) ?? Number.NaN).toFixed(1),
        cpuMicros === undefined ? '' : whole(cpuMicros),
      ];
    }),
  );
}

function memoryTable(memory: readonly MemoryResult[]): string {
  if (memory.length === 0) return '';
  return table(
    ['process', 'when', 'RSS', 'PSS'],
    memory.map(({ process, when, rssMiB, pssMiB }) => [process, when, whole(rssMiB), whole(pssMiB)]),
  );
}

/** A row a moment: what each process has, and all of them. @param program whose own RSS is shown */
export function momentsTable(moments: readonly MemoryMoment[], program: string): string {
  if (moments.length === 0) return '';
  return table(
    ['when', 'PSS of each process', 'PSS in all', `RSS of the ${program}`],
    moments.map(({ when, processes }) => [
      when,
      processes.map(({ process, pssMiB }) => `${process} ${pssMiB.toFixed(0)}`).join(', '),
      processes.reduce((total, { pssMiB }) => total + pssMiB, 0).toFixed(0),
      (processes.find(({ process }) => process === program)?.rssMiB ?? Number.NaN).toFixed(0),
    ]),
  );
}

/** Every column but the first is a figure, or reads well on the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => pad(cell, widths[column] ?? 0, column)).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(header), rule, ...rows.map(line)].join('\n');
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

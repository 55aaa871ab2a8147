import { type AgentResults, type EntriesResult, type Machine, median, type StreamsResult } from '../results.ts';
import { loadsTable, machineLine, momentsTable, table } from './tables.ts';

/** Tables of what was measured. */
export function formatAgent(results: AgentResults, machine: Machine, takenAt: string): string {
  const sections = [
    ['Answers', loadsTable(results.loads)],
    ['Open streams', streamsTable(results.streams)],
    ['Entries', entriesTable(results.entries)],
    ['Memory of the agent and its plugins together, MiB', momentsTable(results.memory, 'agent')],
  ].flatMap(([title, text]) => (text === '' ? [] : [`#### ${title}\n\n${text}`]));
  return `${[machineLine(machine, takenAt, `${results.secondsALoad} s a load; `), ...sections].join('\n\n')}\n`;
}

function streamsTable(streams: readonly StreamsResult[]): string {
  if (streams.length === 0) return '';
  const rotated = ['first told, median ms', 'all told, median ms', 'most ms', "agent's CPU µs a stream"];
  return table(
    ['streams', 'connections', 'RSS KiB a stream', 'PSS KiB a stream', 'idle CPU %', ...rotated],
    streams.map(({ streams: count, connections, rssKiB, pssKiB, idleCpuPercent, rotations }) => {
      const whole = rotations.map(({ firstMs, spreadMs }) => firstMs + spreadMs);
      return [
        count.toLocaleString('en-US'),
        connections.toLocaleString('en-US'),
        rssKiB.toFixed(1),
        pssKiB.toFixed(1),
        idleCpuPercent.toFixed(1),
        median(rotations.map(({ firstMs }) => firstMs)).toFixed(0),
        median(whole).toFixed(0),
        Math.max(...whole).toFixed(0),
        median(rotations.map(({ cpuMicros }) => cpuMicros)).toFixed(0),
      ];
    }),
  );
}

function entriesTable(entries: readonly EntriesResult[]): string {
  if (entries.length === 0) return '';
  const started = ['start ms', 'CPU of it ms', 'restart ms', 'CPU of it ms'];
  const pushed = ['new entry → stream, median ms', 'most ms', "agent's CPU ms for one that comes and goes"];
  return table(
    ['entries', ...started, 'idle CPU %', ...pushed, 'PSS MiB'],
    entries.map((result) => [
      result.entries.toLocaleString('en-US'),
      result.startMs.toFixed(0),
      result.startCpuMs.toFixed(0),
      result.restartMs.toFixed(0),
      result.restartCpuMs.toFixed(0),
      result.idleCpuPercent.toFixed(2),
      median(result.pushMs).toFixed(0),
      Math.max(...result.pushMs).toFixed(0),
      (result.pushCpuMicros / 1000).toFixed(1),
      result.pssMiB.toFixed(0),
    ]),
  );
}

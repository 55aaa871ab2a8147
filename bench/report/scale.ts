import type { Machine, ScalePoint, ScaleResult } from '../results.ts';
import { type Chart, plot } from './plot.ts';
import { machineLine, table } from './tables.ts';

/** Tables of what was measured, and of what one more of a kind costs. */
export function formatScale(results: readonly ScaleResult[], machine: Machine, takenAt: string): string {
  const sections = results.map(({ kind, points }) => `#### More of a kind: ${kind}\n\n${pointsTable(points)}`);
  return `${[machineLine(machine, takenAt), `#### One more\n\n${costsTable(results)}`, ...sections].join('\n\n')}\n`;
}

/** A row a kind: start, memory, sync. */
export function plotScale(results: readonly ScaleResult[]): string {
  const chart = (title: string, { kind, points }: ScaleResult, figureOf: (point: ScalePoint) => number): Chart => ({
    title,
    xTitle: `${kind === 'entry' ? 'entries' : `${kind}s`} in the database`,
    points: points.map((point) => [point.count, figureOf(point)]),
  });
  return plot(
    'What a server costs with more entries, agents and federated bundles',
    results.map((result) => [
      chart('start, ms', result, ({ startMs }) => startMs),
      chart('memory (PSS), MiB', result, ({ pssMiB }) => pssMiB),
      chart('sync of 1,000 entries, p50 ms', result, ({ syncP50Ms }) => syncP50Ms),
    ]),
  );
}

function costsTable(results: readonly ScaleResult[]): string {
  return table(
    ['one more', 'memory, bytes', 'start, µs', 'CPU of the start, µs', 'a sync, ns'],
    results.map(({ kind, points }) => {
      const slope = (figureOf: (point: ScalePoint) => number) =>
        slopeOf(points.map((point) => [point.count, figureOf(point)] as const));
      return [
        kind,
        (slope(({ pssMiB }) => pssMiB) * 1024 ** 2).toFixed(0),
        (slope(({ startMs }) => startMs) * 1000).toFixed(1),
        (slope(({ startCpuMs }) => startCpuMs) * 1000).toFixed(1),
        (slope(({ syncP50Ms }) => syncP50Ms) * 1e6).toFixed(0),
      ];
    }),
  );
}

function pointsTable(points: readonly ScalePoint[]): string {
  return table(
    ['how many', 'start ms', 'CPU of it ms', 'PSS MiB', 'sync p50 ms', 'p99 ms', 'CPU µs a sync'],
    points.map(({ count, startMs, startCpuMs, pssMiB, syncP50Ms, syncP99Ms, syncCpuMicros }) => [
      count.toLocaleString('en-US'),
      startMs.toFixed(0),
      startCpuMs.toFixed(0),
      pssMiB.toFixed(1),
      syncP50Ms.toFixed(2),
      syncP99Ms.toFixed(2),
      syncCpuMicros.toFixed(0),
    ]),
  );
}

/** Of the straight line that fits best: least squares. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (index: 0 | 1) => points.reduce((total, point) => total + point[index], 0) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const covariance = points.reduce((total, [x, y]) => total + (x - meanX) * (y - meanY), 0);
  const variance = points.reduce((total, [x]) => total + (x - meanX) ** 2, 0);
  return covariance / variance;
}

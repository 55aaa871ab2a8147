import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { buildGo } from './go.ts';

const MODULE = fileURLToPath(new URL('../interop/metrics-reader', import.meta.url));

export interface ScrapedSeries {
  readonly name: string;
  readonly kind: 'COUNTER' | 'GAUGE' | 'HISTOGRAM';
  readonly labels: Readonly<Record<string, string>>;
  /** Of a histogram, how many. */
  readonly value: number;
  readonly sum: number;
}

/** Metrics as Prometheus' own parser reads them. @throws where that refuses them */
export async function readExposition(exposition: string): Promise<readonly ScrapedSeries[]> {
  const reader = spawn(await buildGo(MODULE, 'reader'), { stdio: ['pipe', 'pipe', 'pipe'] });
  const exited = once(reader, 'exit');
  reader.stdin.end(exposition);
  const [output, complaint] = await Promise.all([text(reader.stdout), text(reader.stderr)]);
  const [status] = await exited;
  if (status !== 0) throw new Error(`not in Prometheus' text format: ${complaint}`);
  return JSON.parse(output);
}

/** The one series of that name with, among others, these labels. @throws where there is none, or more than one */
export function findSeries(
  all: readonly ScrapedSeries[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): ScrapedSeries {
  const found = all.filter(
    (series) => series.name === name && Object.entries(labels).every(([key, value]) => series.labels[key] === value),
  );
  const [only] = found;
  if (only === undefined || found.length > 1) {
    throw new Error(`${found.length} series ${name} with ${JSON.stringify(labels)}: ${JSON.stringify(found)}`);
  }
  return only;
}

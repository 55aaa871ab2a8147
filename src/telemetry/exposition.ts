import type { Family } from './registry.ts';
import { BUCKET_BOUNDS, type Histogram, type Series } from './series.ts';

/** What the text below is. */
export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Metrics as Prometheus reads them.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export function formatExposition(families: readonly Family[]): string {
  return families.map(formatFamily).join('');
}

function formatFamily(family: Family): string {
  const lines = [...family.series].flatMap(([labels, series]) => formatSeries(family.name, labels, series));
  if (lines.length === 0) return '';
  const help = family.help.replace(/[\\\n]/g, (character) => (character === '\n' ? '\\n' : '\\\\'));
  return `# HELP ${family.name} ${help}\n# TYPE ${family.name} ${family.kind}\n${lines.join('\n')}\n`;
}

function formatSeries(name: string, labels: string, series: Series): readonly string[] {
  if (series.kind === 'histogram') return formatHistogram(name, labels, series);
  return series.value === undefined ? [] : [line(name, labels, series.value)];
}

function formatHistogram(name: string, labels: string, histogram: Histogram): readonly string[] {
  const counts = histogram.cumulativeCounts;
  const withBound = (bound: number) => `${labels}${labels === '' ? '' : ','}le="${formatNumber(bound)}"`;
  return [
    ...counts.map((count, index) =>
      line(`${name}_bucket`, withBound(BUCKET_BOUNDS[index] ?? Number.POSITIVE_INFINITY), count),
    ),
    line(`${name}_sum`, labels, histogram.sum),
    line(`${name}_count`, labels, counts.at(-1) ?? 0),
  ];
}

function line(name: string, labels: string, value: number): string {
  return `${name}${labels === '' ? '' : `{${labels}}`} ${formatNumber(value)}`;
}

function formatNumber(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

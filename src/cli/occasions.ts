import { formatField, formatTime } from './output.ts';

export type Row = readonly [name: string, value: unknown];

/** Something that was alike several times in a row. */
export interface Occasions {
  /** Unix seconds. */
  readonly firstAt: bigint;
  readonly lastAt: bigint;
  readonly count: bigint;
}

const WIDTH = 18;

export function occasionRows({ firstAt, lastAt, count }: Occasions): readonly Row[] {
  const last: Row = ['Last time', formatTime(lastAt)];
  if (count <= 1n) return [last];
  return [last, ['First time', formatTime(firstAt)], ['Times', count]];
}

/** A line each, and an empty one. */
export function formatRows(rows: readonly Row[]): string {
  return `${rows.map(([name, value]) => formatField(name, value, WIDTH)).join('')}\n`;
}

import type { SPIFFEID } from '../gen/spire/api/types/types.ts';
import { onOneLine } from './output.ts';

export interface DebugInfo {
  readonly heading: string;
  readonly lines: readonly (readonly [name: string, value: string | number])[];
  /** Columns of the names. */
  readonly width: number;
  /** Leaf first. */
  readonly chain: readonly {
    readonly id: SPIFFEID | undefined;
    readonly expiresAt: bigint;
    readonly subject: string;
  }[];
}

/** As SPIRE prints `debug getinfo`: what it counts, then the certificates. */
export function formatDebugInfo({ heading, lines, width, chain }: DebugInfo): string {
  const certificates = chain.flatMap(({ id, subject, expiresAt }, index) => [
    `    [${index}] SPIFFE ID:  ${id === undefined ? '(none)' : onOneLine(`spiffe://${id.trustDomain}${id.path}`)}`,
    `        Subject:    ${onOneLine(subject)}`,
    `        Expires At: ${formatRfc3339(expiresAt)}`,
  ]);
  return [
    heading,
    ...lines.map(([name, value]) => `  ${`${name}:`.padEnd(width)}${value}`),
    ...(certificates.length === 0 ? [] : ['  SVID Chain:', ...certificates]),
    '',
  ].join('\n');
}

/** `1h0m5s`, as Go prints a duration. */
export function formatUptime(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = `${seconds % 60}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}

/** `2026-01-02T03:04:05Z` of Unix seconds. */
export function formatRfc3339(unixSeconds: bigint): string {
  const date = new Date(Number(unixSeconds) * 1000);
  return Number.isNaN(date.getTime()) ? 'invalid time' : date.toISOString().replace('.000', '');
}

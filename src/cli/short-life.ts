import { formatTime } from './output.ts';
import type { Terminal } from './terminal.ts';

/** A server answers within this, and its clock is not far from ours. */
const TOLERANCE_SECONDS = 30;

/** Tells where the server gave less than was asked for. */
export function warnOfShortLife(what: string, expiresAt: bigint, ttlSeconds: number, { printError }: Terminal): void {
  const remaining = Number(expiresAt) - Date.now() / 1000;
  if (remaining + TOLERANCE_SECONDS >= ttlSeconds) return;
  printError(`${what} lifetime was capped shorter than specified ttl; expires ${formatTime(expiresAt)}\n`);
}

import type { Pkcs11Result } from '../results.ts';
import { table } from './tables.ts';

/** Markdown, which a terminal shows well enough. */
export function formatPkcs11(results: readonly Pkcs11Result[]): string {
  return table(
    [
      'signatures',
      'sessions',
      "the module's own a second",
      'by the key manager',
      'share %',
      'added ms',
      'p50 ms',
      'p99 ms',
      'errors',
    ],
    results.map(({ load, ownPerSecond }) => [
      load.name,
      String(load.callers),
      Math.round(ownPerSecond).toLocaleString('en-US'),
      Math.round(load.perSecond).toLocaleString('en-US'),
      Math.round((load.perSecond / ownPerSecond) * 100).toString(),
      addedMs(load.perSecond, ownPerSecond, load.callers).toFixed(2),
      load.p50Ms.toFixed(2),
      load.p99Ms.toFixed(2),
      String(load.errors),
    ]),
  );
}

/** What a signature takes longer by the way through the plugin, to a caller that waits for it. */
function addedMs(perSecond: number, ownPerSecond: number, callers: number): number {
  return (callers / perSecond - callers / ownPerSecond) * 1000;
}

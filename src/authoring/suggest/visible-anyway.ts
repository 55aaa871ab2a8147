import { isWithin, type Place } from '../../plugin-host/sandbox/places.ts';
import type { ObservedRun } from './suggestion.ts';

/**
 * Where language runtimes and libraries look by themselves: Go's and Node's for huge pages, for the limits of a container
 * and for processors. They go without where there is nothing; a sandbox shows nothing of it.
 */
const OF_RUNTIMES = [
  ...['/sys/kernel/mm/transparent_hugepage', '/sys/fs/cgroup', '/sys/devices/system', '/etc/ld.so.preload'],
  '/dev/tty',
];

/** Tells which paths need not be in a manifest: every plugin sees them, or nobody misses them. */
export function isVisibleAnyway(path: string, system: readonly Place[], run: ObservedRun): boolean {
  const shown = system.filter(({ kind }) => kind !== 'scratch').map((place) => place.path);
  const program = [run.command, ...run.args.filter((argument) => argument.startsWith('/'))];
  return (
    [...shown, ...OF_RUNTIMES, run.socketFolder].some((place) => isWithin(path, place)) ||
    program.includes(path) ||
    path === '/proc' ||
    (path.startsWith('/proc/') && !/^\/proc\/\d/.test(path))
  );
}

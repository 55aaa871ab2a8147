import type { Sighting } from '../../plugin-host/sandbox/sightings.ts';
import type { Note } from './suggestion.ts';

/** Calls that need a capability where the plugin has a user of its own. */
const NEEDED_BY: Readonly<Record<string, string>> = {
  kill: 'KILL',
  pidfd_send_signal: 'KILL',
  chown: 'CHOWN',
  mknod: 'MKNOD',
  setuid: 'SETUID',
  setgid: 'SETGID',
  setgroups: 'SETGID',
  prlimit64: 'SYS_RESOURCE',
  sched_setscheduler: 'SYS_NICE',
  sched_setattr: 'SYS_NICE',
  mlockall: 'IPC_LOCK',
  fanotify_init: 'SYS_ADMIN',
};
/** Harmless by itself: what comes of it is another call. */
const SILENT: readonly string[] = ['capset', 'mlock', 'foreign-architecture'];
/** Files of another process that only who may trace it can read. Source: proc(5). */
const TRACED =
  /^\/proc\/\*\/(?:task\/\d+\/)?(?:auxv|cwd|environ|exe|fd|fdinfo|io|map_files|maps|mem|numa_maps|ns|pagemap|personality|root|smaps|smaps_rollup|stack|syscall|timerslack_ns)(?:\/|$)/;

const AF_PACKET = 17;
const RAW = 3;
const FIRST_FREE_PORT = 1024;

/** Which capabilities calls of a run may have been about; whether they are needed only trying tells. */
export function guessCapabilities(sightings: readonly Sighting[]): {
  readonly capabilities: readonly string[];
  readonly notes: readonly Note[];
} {
  const reasons = new Map<string, string>();
  const guess = (capability: string, reason: string) => {
    if (!reasons.has(capability)) reasons.set(capability, reason);
  };
  const refused = new Set<string>();
  for (const sighting of sightings) {
    switch (sighting.what) {
      case 'processes':
        if (TRACED.test(sighting.path)) guess('SYS_PTRACE', `it read ${sighting.path} of others`);
        break;
      case 'socket':
        if (sighting.family === AF_PACKET || sighting.type === RAW) guess('NET_RAW', 'it made a raw socket');
        break;
      case 'address':
        if (sighting.access === 'bind' && sighting.port > 0 && sighting.port < FIRST_FREE_PORT) {
          guess('NET_BIND_SERVICE', `it listened on port ${sighting.port}`);
        }
        break;
      case 'call': {
        const capability = NEEDED_BY[sighting.name];
        if (capability !== undefined) guess(capability, `it called ${sighting.name}`);
        else if (!SILENT.includes(sighting.name)) refused.add(sighting.name);
        break;
      }
    }
  }
  const notes = [...reasons].map(([capability, reason]): Note => {
    return { about: 'capabilities', message: `${capability} is a guess: ${reason}` };
  });
  if (refused.size > 0) {
    const message = `it called ${[...refused].sort().join(', ')}, which no sandbox allows whatever is in its manifest`;
    notes.push({ about: 'capabilities', message });
  }
  return { capabilities: [...reasons.keys()].sort(), notes };
}

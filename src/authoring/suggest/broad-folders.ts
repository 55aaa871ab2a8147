import { homedir, tmpdir } from 'node:os';
import { dirname } from 'node:path';

/** Below these each folder is somebody else's. */
const SHARED = [
  ...['/etc', '/home', '/media', '/mnt', '/opt', '/root', '/run', '/run/user', '/srv', '/tmp', '/usr/local'],
  ...['/var/cache', '/var/lib', '/var/local', '/var/log', '/var/run', '/var/spool', '/var/tmp', '/dev/shm'],
];

/** Whether a folder holds things of many: a plugin is not to have all of it for the sake of a few files. */
export function isBroad(folder: string): boolean {
  const own = [homedir(), tmpdir()];
  return (
    dirname(folder) === '/' ||
    SHARED.includes(folder) ||
    own.includes(folder) ||
    ['/home', '/run/user'].includes(dirname(folder))
  );
}

/** Whether files that are made right in there are the plugin's scratch: it sees a folder of its own in that place. */
export function isScratch(folder: string): boolean {
  return [tmpdir(), '/tmp'].includes(folder);
}

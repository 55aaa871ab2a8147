import type { Cgroup } from './cgroups.ts';

/**
 * The cgroups whose folders are mounted where a process sees them, from /proc/PID/mountinfo: the root of each mount of a
 * cgroup file system, as a path like those of {@link parseCgroups}.
 *
 * A process that may mount can mount any of them, and every user may in a user namespace of his own. So this proves
 * nothing: use it only where something else, such as the container's mount namespace, shows whose mounts they are.
 *
 * Source: proc_pid_mountinfo(5): `id parent major:minor root mount-point options [tags…] - type source options`.
 */
export function parseMountedCgroups(text: string): readonly Cgroup[] {
  return text.split('\n').flatMap((line) => {
    const [mount = '', fileSystem = ''] = line.split(' - ', 2);
    const [type, , options = ''] = fileSystem.split(' ');
    const root = mount.split(' ')[3];
    if ((type !== 'cgroup' && type !== 'cgroup2') || root === undefined || !root.startsWith('/')) return [];
    const hierarchy = type === 'cgroup2' ? 0 : Number.NaN; // the file has no numbers for those of version 1
    return [{ hierarchy, controllers: type === 'cgroup2' ? '' : options.replace(/^rw,|^ro,/, ''), path: decode(root) }];
  });
}

/** Space, tab, line feed and backslash are written in octal. */
function decode(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

import { SpiffeError } from '../../plugin-sdk/index.ts';

/** One line of /proc/PID/cgroup: where the process stands in one hierarchy. */
export interface Cgroup {
  /** 0 is version 2. */
  readonly hierarchy: number;
  /** Such as `cpu,cpuacct` or `name=systemd`; empty in version 2. */
  readonly controllers: string;
  /** From the root of the reader's own cgroup namespace: what is beside or above that begins with `/..`. */
  readonly path: string;
}

/**
 * Source: cgroups(7), `hierarchy:controllers:path`; the path may have whatever but a line feed.
 *
 * @throws SpiffeError `WORKLOAD_UNREADABLE` for a line that is none: passed over, it might be the one that matters
 */
export function parseCgroups(text: string): readonly Cgroup[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, hierarchy, controllers = '', path = ''] = /^(\d{1,9}):([^:]*):(\/.*)$/s.exec(line) ?? [];
      if (hierarchy !== undefined) return { hierarchy: Number(hierarchy), controllers, path };
      throw new SpiffeError('WORKLOAD_UNREADABLE', `a line of the process's cgroups is none: ${JSON.stringify(line)}`);
    });
}

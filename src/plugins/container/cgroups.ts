/** One line of /proc/PID/cgroup: where the process stands in one hierarchy. */
export interface Cgroup {
  /** 0 is version 2. */
  readonly hierarchy: number;
  /** Such as `cpu,cpuacct` or `name=systemd`; empty in version 2. */
  readonly controllers: string;
  /** From the root of the reader's own cgroup namespace: what is beside or above that begins with `/..`. */
  readonly path: string;
}

/** Source: cgroups(7), `hierarchy:controllers:path`; the path may have colons. Other lines are passed over. */
export function parseCgroups(text: string): readonly Cgroup[] {
  return text.split('\n').flatMap((line) => {
    const [, hierarchy, controllers = '', path = ''] = /^(\d{1,9}):([^:]*):(\/.*)$/.exec(line) ?? [];
    return hierarchy === undefined ? [] : [{ hierarchy: Number(hierarchy), controllers, path }];
  });
}

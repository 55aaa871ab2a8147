import { parseCgroups } from '../container/cgroups.ts';
import { type ContainerPlace, findContainerPlace } from '../container/container-place.ts';
import { findContainer } from '../container/find-container.ts';
import { parseMountedCgroups } from '../container/mounted-cgroups.ts';
import { readNamespace, readProcessFile } from '../container/process-files.ts';

/** Where the kernel says that a process is. */
export interface PodContainer {
  readonly containerId: string;
  /** Undefined for a container beside this plugin's own, in the same pod, whose cgroups do not name that. */
  readonly podUid: string | undefined;
}

/** Whoever logs in may make cgroups below these, and call them what he likes. Source: systemd's CGROUP_DELEGATION. */
const OF_A_PERSON = /^(?:user\.slice|user-\d+\.slice|user@\d+\.service)$/;

/**
 * The container of a pod that a process is in, by its cgroups; where these are nothing but the root, by those that are
 * mounted where the process sees them.
 *
 * @returns undefined for a process in no pod
 * @throws SpiffeError `WORKLOAD_UNREADABLE`, `ATTESTATION_DENIED` for a process that is in several
 */
export async function findPodContainer(pid: number): Promise<PodContainer | undefined> {
  const cgroups = parseCgroups(await readProcessFile(pid, 'cgroup'));
  const found = findContainer(cgroups, findPodPlace);
  if (found !== undefined) return { containerId: found.containerId, podUid: found.podUid };
  if (!cgroups.every(({ path }) => path === '/') || !(await mayNotMount(pid))) return undefined;
  const mounted = findContainer(parseMountedCgroups(await readProcessFile(pid, 'mountinfo')), findPodPlace);
  return mounted && { containerId: mounted.containerId, podUid: mounted.podUid };
}

/** In a user namespace of its own a process may mount whatever it likes. */
async function mayNotMount(pid: number): Promise<boolean> {
  const [its, ours] = await Promise.all([readNamespace(pid, 'user'), readNamespace(process.pid, 'user')]);
  return its === ours;
}

/**
 * The outermost container of a pod in a path: what is further down a workload with the right to make cgroups may have
 * made itself, and named after another pod. A container without a pod counts only right beside the reader's own.
 */
export function findPodPlace(path: string): ContainerPlace | undefined {
  const names = path.split('/');
  for (let end = 2; end <= names.length; end++) {
    const above = names.slice(0, end);
    if (OF_A_PERSON.test(above.at(-1) ?? '')) return undefined;
    const place = findContainerPlace(above.join('/'));
    if (place?.podUid !== undefined || (place !== undefined && names[1] === '..' && end === 3)) return place;
  }
  return undefined;
}

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

/**
 * Whoever logs in, a service and a container may be allowed to make cgroups below these, and call them what they like.
 * Source: systemd's CGROUP_DELEGATION.
 */
const DELEGATED = /^(?:user\.slice|user-\d+\.slice|machine\.slice|lxc.*|.*\.service|.*\.scope)$/s;
/** Whose services containers of pods are below, where the runtime makes no slices. */
const RUNTIMES = ['containerd.service', 'crio.service', 'docker.service', 'kubelet.service'];
/** A path of more parts is nobody's but one who made it to be looked at for long. */
const MAX_PARTS = 64;

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
  if (cgroups.length === 0 || !cgroups.every(({ path }) => path === '/') || !(await mayNotMount(pid))) return undefined;
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
  for (let end = 2; end <= Math.min(names.length, MAX_PARTS); end++) {
    const above = names.slice(0, end);
    const place = findContainerPlace(above.join('/'));
    if (place?.podUid !== undefined || (place !== undefined && names[1] === '..' && end === 3)) return place;
    const name = above.at(-1) ?? '';
    if (DELEGATED.test(name) && !RUNTIMES.includes(name)) return undefined; // what is below may be its own work
  }
  return undefined;
}

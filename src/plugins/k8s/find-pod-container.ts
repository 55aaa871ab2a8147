import { readFile, readlink } from 'node:fs/promises';
import { SpiffeError } from '../../plugin-sdk/index.ts';
import { type Cgroup, parseCgroups } from '../container/cgroups.ts';
import { findContainerPlace } from '../container/container-place.ts';
import { findContainer } from '../container/find-container.ts';
import { parseMountedCgroups } from '../container/mounted-cgroups.ts';
import type { ProcessFolder } from '../process/process-folder.ts';
import { findPodPlace } from './pod-place.ts';

/** Where the kernel says that a process is. */
export interface PodContainer {
  readonly containerId: string;
  /** Undefined for a container beside this plugin's own, in the same pod, whose cgroups do not name that. */
  readonly podUid: string | undefined;
}

/** A path of more parts, or more bytes, is nobody's but one who made it to be looked at for long. */
const MAX_PARTS = 64;
const MAX_LENGTH = 4096;

/**
 * The container of a pod that a process is in, by its cgroups; where these are nothing but the root, by those that are
 * mounted where the process sees them.
 *
 * @param cgroupRoot of the kubelet; undefined: where one puts pods that was told nothing
 * @returns undefined for a process in no pod
 * @throws SpiffeError `WORKLOAD_UNREADABLE`, `ATTESTATION_DENIED` for a process that is in several, or where none can be
 */
export async function findPodContainer(
  process: ProcessFolder,
  cgroupRoot?: string | undefined,
): Promise<PodContainer | undefined> {
  const cgroups = parseCgroups(await process.readText('cgroup'));
  const own = parseCgroups(await readFile('/proc/self/cgroup', 'utf8'));
  const find = (path: string, { hierarchy }: Cgroup) => {
    if (path.length > MAX_LENGTH || path.split('/').length > MAX_PARTS) return undefined;
    const { path: ownPath = '/' } = own.find((each) => each.hierarchy === hierarchy) ?? {};
    return findPodPlace(path, { own: ownPath, cgroupRoot });
  };
  const found = findContainer(cgroups, find);
  if (found !== undefined) return { containerId: found.containerId, podUid: found.podUid };
  refuseLookalike(cgroups);
  if (cgroups.length === 0 || !cgroups.every(({ path }) => path === '/') || !(await mayNotMount(process)))
    return undefined;
  const mounted = findContainer(parseMountedCgroups(await process.readText('mountinfo')), find);
  return mounted && { containerId: mounted.containerId, podUid: mounted.podUid };
}

/** What names a pod elsewhere is somebody's work, or the kubelet was told to put pods there. */
function refuseLookalike(cgroups: readonly Cgroup[]): void {
  for (const { path } of cgroups) {
    const podUid = path.length > MAX_LENGTH ? undefined : findContainerPlace(path)?.podUid;
    if (podUid === undefined) continue;
    throw new SpiffeError(
      'ATTESTATION_DENIED',
      `the cgroup ${JSON.stringify(path)} names pod ${podUid} where no kubelet of this node makes cgroups, so that a workload may have made it: if the kubelet has a cgroupRoot of its own, set cgroup_root to it`,
    );
  }
}

/** In a user namespace of its own a process may mount whatever it likes. */
async function mayNotMount(process: ProcessFolder): Promise<boolean> {
  return process.readLink('ns/user') === (await readlink('/proc/self/ns/user'));
}

import { SpiffeError } from '../../plugin-sdk/index.ts';
import type { Cgroup } from './cgroups.ts';
import { type ContainerPlace, findContainerPlace } from './container-place.ts';

/** A container, and the cgroups of a process that named it. */
export interface FoundContainer {
  readonly containerId: string;
  readonly podUid?: string;
  /** One or more. */
  readonly places: readonly CgroupPlace[];
}

export interface CgroupPlace {
  readonly hierarchy: number;
  /** Up to the container's own cgroup. */
  readonly path: string;
}

type Finder = (path: string, cgroup: Cgroup) => ContainerPlace | undefined;

/**
 * The container that a process is in, by all of its cgroups together. Those that name none do not count, nor, where one
 * names a pod, those that name a container alone: in a node that is a container itself they name the node.
 *
 * @param find what the path of a cgroup means.
 * @returns undefined for a process in no container.
 * @throws SpiffeError `ATTESTATION_DENIED` where they name several: the safe choice is none of them.
 */
export function findContainer(
  cgroups: readonly Cgroup[],
  find: Finder = findContainerPlace,
): FoundContainer | undefined {
  const named = cgroups.flatMap((cgroup) => {
    const { hierarchy, path } = cgroup;
    const place = find(path, cgroup);
    return place === undefined ? [] : [{ ...place, hierarchy }];
  });
  const ofPods = named.filter(({ podUid }) => podUid !== undefined);
  const [first, ...others] = ofPods.length > 0 ? ofPods : named;
  if (first === undefined) return undefined;
  const { containerId, podUid } = first;
  for (const other of others) {
    requireOne('containers', containerId, other.containerId);
    requireOne('pods', podUid, other.podUid);
  }
  const places = [first, ...others].map(({ hierarchy, path }) => ({ hierarchy, path }));
  return { containerId, places, ...(podUid === undefined ? {} : { podUid }) };
}

function requireOne(what: string, one: string | undefined, other: string | undefined): void {
  if (one === other) return;
  throw new SpiffeError('ATTESTATION_DENIED', `the cgroups of the process name two ${what}, ${one} and ${other}`);
}

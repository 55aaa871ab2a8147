import { type ContainerPlace, findContainerPlace, findPodUid } from '../container/container-place.ts';

export interface PodPlaceOptions {
  /** The path of the reader's own cgroup in the same hierarchy. */
  readonly own: string;
  /** The kubelet's cgroupRoot, as paths have it; undefined: the root, or what kind has. */
  readonly cgroupRoot?: string | undefined;
}

/** Between the kubelet's root and a pod there is no more; a container's own cgroups may go on as they like. */
const QOS = /^(?:[\w-]+-)?(?:burstable|besteffort)(?:\.slice)?$/;
const KUBEPODS = /^(?:[\w-]+-)?kubepods(?:\.slice)?$/;
const POD = /^(?:[\w-]+-)?pod[0-9a-f][0-9a-f_-]{30,34}[0-9a-f](?:\.slice)?$/;
/** What containerd makes of a slice's name where it makes no slices. */
const POD_AND_CONTAINER = /^[\w-]+-pod[0-9a-f_]{36}\.slice:[\w-]+:[0-9a-f]{64}$/;
/** Runtimes that make their containers' cgroups below their own, where they make no slices. */
const RUNTIMES = ['containerd.service', 'crio.service', 'docker.service', 'kubelet.service'];
/** What kind has. */
const KIND_ROOTS = [['kubelet'], ['kubelet.slice']];
/** Whoever logs in may make cgroups there, the one among them who has started the agent, too. */
const OF_USERS = /^user(?:\.slice|-\d+\.slice|@\d+\.service)$/;

/**
 * The container of a pod in a path, where the kubelet of the reader's own node makes the cgroups of pods.
 *
 * A workload may make cgroups below its own, and name them after a pod's. It cannot make any beside its own or above. So all
 * counts that leads to the reader's own cgroup, and below that nothing but what the kubelet makes, name by name: a workload's
 * own cgroup, whose name is the work of its runtime, is not among these names, or it is that of a pod's container.
 *
 * A container without a pod counts only right beside the reader's own.
 */
export function findPodPlace(path: string, { own, cgroupRoot }: PodPlaceOptions): ContainerPlace | undefined {
  const names = path.split('/').slice(1);
  const trusted = countTrusted(names, own.split('/').slice(1));
  if (names.slice(0, trusted).some((name) => OF_USERS.test(name))) return undefined;
  const roots = cgroupRoot === undefined ? [[], ...KIND_ROOTS] : [cgroupRoot.split('/').slice(1)];
  for (let start = 0; start <= trusted; start++) {
    const above = names[start - 1];
    const length = isNodeRoot(above)
      ? lengthBelowRoot(names.slice(start), roots)
      : KUBEPODS.test(above ?? '')
        ? lengthBelowKubepods(names.slice(start))
        : undefined;
    const place = length === undefined ? undefined : placeAt(names.slice(0, start + length));
    if (place !== undefined) return place;
  }
  const isBeside = names[0] === '..' && trusted === 1;
  const beside = isBeside ? findContainerPlace(`/../${names[1] ?? ''}`) : undefined;
  return beside?.podUid === undefined ? beside : undefined;
}

/** How many names at the beginning are those of cgroups that the reader is in. Those that it cannot see are `..`. */
function countTrusted(names: readonly string[], own: readonly string[]): number {
  const above = countUp(names);
  if (above !== countUp(own)) return above;
  let count = above;
  while (count < own.length && names[count] === own[count] && names[count] !== '') count++;
  return count;
}

function countUp(names: readonly string[]): number {
  const first = names.findIndex((name) => name !== '..');
  return first === -1 ? names.length : first;
}

/** Nothing is above the root of a machine; a container's cgroup is above that of a node which is one; `..` may be either. */
function isNodeRoot(above: string | undefined): boolean {
  return above === undefined || above === '..' || findContainerPlace(`/${above}`) !== undefined;
}

/** How many names there are up to the container's. @param roots each the names above `kubepods` */
function lengthBelowRoot(names: readonly string[], roots: readonly (readonly string[])[]): number | undefined {
  const service = names[0] === 'system.slice' ? 1 : 0;
  const direct = RUNTIMES.includes(names[service] ?? '') ? service + 1 : 0;
  if (POD_AND_CONTAINER.test(names[direct] ?? '')) return direct + 1;
  for (const root of roots) {
    if (!root.every((name, index) => names[index] === name) || !KUBEPODS.test(names[root.length] ?? '')) continue;
    const length = lengthBelowKubepods(names.slice(root.length + 1));
    if (length !== undefined) return root.length + 1 + length;
  }
  return lengthBelowKubepods(names);
}

/** A reader with cgroups of its own may not see more. */
function lengthBelowKubepods(names: readonly string[]): number | undefined {
  const at = QOS.test(names[0] ?? '') ? 1 : 0;
  return POD.test(names[at] ?? '') ? at + 2 : undefined;
}

/** The container whose name is the last, of the pod whose name is before that, or in it. */
function placeAt(names: readonly string[]): ContainerPlace | undefined {
  const [pod = '', container = ''] = names.slice(-2);
  const place = findContainerPlace(`/${container}`);
  const podUid = place?.podUid ?? findPodUid([pod]);
  if (place === undefined || podUid === undefined) return undefined;
  return { containerId: place.containerId, podUid, path: `/${names.join('/')}` };
}

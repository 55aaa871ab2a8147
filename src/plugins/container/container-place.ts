/** What the path of a cgroup says of the container that it belongs to. */
export interface ContainerPlace {
  /** 64 hex digits, lower case. */
  readonly containerId: string;
  /** With dashes; or 32 hex digits, which a pod has that the kubelet read from a file. */
  readonly podUid?: string;
  /** The path up to the container's own cgroup, and not what the container made below it. */
  readonly path: string;
}

/** Beside a container's processes there is the one that watches it, in a cgroup that has the container's ID too. */
const MONITOR = /(?:^|-)conmon-/;
const CONTAINER_ID = /(?<!\w)[0-9a-f]{64}(?!\w)/g;
/** systemd takes a dash for a step down, so its slices have `_` instead. */
const POD_UID =
  /(?<![A-Za-z0-9_])pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?!\w)/g;

/**
 * The innermost container that a cgroup's path names, however its runtime writes that: `/docker/<id>`,
 * `/../<id>` for a reader in a cgroup namespace of its own, `…/libpod-<id>.scope/container`,
 * `/kubepods/burstable/pod<uid>/<id>`, `…-pod<uid>.slice:cri-containerd:<id>`.
 *
 * The kernel writes such a path, but who may make cgroups may give them any name: a user whose systemd lets him, a
 * container with privileges. Whoever acts upon an ID asks its runtime whether the process is the container's.
 */
export function findContainerPlace(path: string): ContainerPlace | undefined {
  const names = path.split('/');
  for (let index = names.length - 1; index >= 0; index--) {
    const name = names[index] ?? '';
    const found = lastMatch(CONTAINER_ID, name);
    if (found === undefined) continue;
    const [containerId] = found;
    const before = name.slice(0, found.index);
    if (MONITOR.test(before)) return undefined;
    const podUid = findPodUid([...names.slice(0, index), before]);
    const place = { containerId, path: names.slice(0, index + 1).join('/') };
    return podUid === undefined ? place : { ...place, podUid };
  }
  return undefined;
}

/** With dashes, of the last of these names that has one. */
export function findPodUid(names: readonly string[]): string | undefined {
  for (const name of names.toReversed()) {
    const uid = lastMatch(POD_UID, name)?.[1];
    if (uid !== undefined) return uid.replaceAll('_', '-');
  }
  return undefined;
}

function lastMatch(pattern: RegExp, text: string): RegExpExecArray | undefined {
  return [...text.matchAll(pattern)].at(-1);
}

import { SpiffeError, z } from '../../plugin-sdk/index.ts';

/** What the kubelet knows of one container that it started, or is about to. */
export interface ContainerStatus {
  readonly name: string;
  /** As the pod names it, or nearly: the runtime may complete it. */
  readonly image: string;
  /** With its digest; empty before the image is there. */
  readonly imageId: string;
  /** 64 hex digits or whatever the runtime has; undefined before the container is created. */
  readonly containerId: string | undefined;
}

export interface PodOwner {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface Pod {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly nodeName: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly owners: readonly PodOwner[];
  readonly containers: readonly ContainerStatus[];
  readonly initContainers: readonly ContainerStatus[];
  readonly ephemeralContainers: readonly ContainerStatus[];
}

const MAX_PODS = 10_000;

const text = z.string();
const word = z.string().min(1);
/** Go writes a list without items as null, or leaves it out. */
const list = <S extends z.ZodType>(item: S) =>
  z
    .array(item)
    .nullish()
    .transform((items) => items ?? []);

const status = z
  .object({ name: word, image: text.default(''), imageID: text.default(''), containerID: text.default('') })
  .transform(
    ({ name, image, imageID, containerID }): ContainerStatus => ({
      name,
      image,
      imageId: imageID,
      containerId: findContainerId(containerID),
    }),
  );

const pod = z
  .object({
    metadata: z.object({
      name: word,
      namespace: word,
      uid: word,
      labels: z.record(text, text).nullish(),
      ownerReferences: list(z.object({ kind: word, name: word, uid: word })),
    }),
    spec: z.object({ nodeName: text.default(''), serviceAccountName: text.default('') }),
    status: z
      .object({
        containerStatuses: list(status),
        initContainerStatuses: list(status),
        ephemeralContainerStatuses: list(status),
      })
      .prefault({}),
  })
  .transform(
    ({ metadata, spec, status: { containerStatuses, initContainerStatuses, ephemeralContainerStatuses } }): Pod => ({
      uid: metadata.uid,
      namespace: metadata.namespace,
      name: metadata.name,
      nodeName: spec.nodeName,
      serviceAccount: spec.serviceAccountName,
      labels: metadata.labels ?? {},
      owners: metadata.ownerReferences,
      containers: containerStatuses,
      initContainers: initContainerStatuses,
      ephemeralContainers: ephemeralContainerStatuses,
    }),
  );

const podList = z.object({ kind: z.literal('PodList'), apiVersion: z.literal('v1'), items: list(pod) });

/**
 * Reads what `GET /pods` of a kubelet answers, as far as selectors are made of it. A list with one mistake is none: the
 * mistake may be what one pod is kept apart from another by.
 *
 * @throws SpiffeError `FAILED_PRECONDITION` for what is no list of pods, naming where, and for one in which two pods or two
 *   containers are the same
 * @see Kubernetes API v1: PodList, PodStatus, ContainerStatus
 */
export function parsePodList(body: Uint8Array): readonly Pod[] {
  const { success, data, error } = podList.safeParse(parseJson(body));
  if (!success) {
    const [issue] = error.issues;
    refuse(`is no list of pods: ${issue?.path.map(String).join('.') || 'the whole'}: ${issue?.message}`);
  }
  const { items } = data;
  if (items.length > MAX_PODS) refuse(`has ${items.length} pods, more than ${MAX_PODS}`);
  requireDistinct(
    'pods have the UID',
    items.map(({ uid }) => uid),
  );
  requireDistinct(
    'containers have the ID',
    items.flatMap(containersOf).flatMap(({ containerId }) => containerId ?? []),
  );
  return items;
}

/** All of a pod's: those of the workload, those that ran before it, those that somebody added to look at it. */
export function containersOf(pod: Pod): readonly ContainerStatus[] {
  return [...pod.containers, ...pod.initContainers, ...pod.ephemeralContainers];
}

/** `containerd://<id>`; without the name of a runtime it says nothing. */
function findContainerId(text: string): string | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\/(.+)$/.exec(text)?.[1];
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw new SpiffeError('FAILED_PRECONDITION', 'the kubelet’s answer is no JSON', { cause });
  }
}

function requireDistinct(what: string, words: readonly string[]): void {
  const seen = new Set<string>();
  for (const word of words) {
    if (seen.has(word)) refuse(`contradicts itself: two ${what} ${JSON.stringify(word.slice(0, 200))}`);
    seen.add(word);
  }
}

function refuse(what: string): never {
  throw new SpiffeError('FAILED_PRECONDITION', `the kubelet’s answer ${what}`);
}

import type { ContainerStatus, Pod } from './parse-pod-list.ts';

/** Inventory P016. What the kubelet does not know, such as an image before it is pulled, gives none. */
export function podSelectors(pod: Pod): readonly string[] {
  return [
    ...selectors('ns', pod.namespace),
    ...selectors('sa', pod.serviceAccount),
    ...selectors('node-name', pod.nodeName),
    ...selectors('pod-uid', pod.uid),
    ...selectors('pod-name', pod.name),
    ...selectors('pod-image', ...pod.containers.flatMap(imagesOf)),
    `pod-image-count:${pod.containers.length}`,
    ...selectors('pod-init-image', ...pod.initContainers.flatMap(imagesOf)),
    `pod-init-image-count:${pod.initContainers.length}`,
    ...Object.entries(pod.labels).map(([key, value]) => `pod-label:${key}:${value}`),
    ...pod.owners.flatMap(({ kind, name, uid }) => [`pod-owner:${kind}:${name}`, `pod-owner-uid:${kind}:${uid}`]),
  ];
}

export function containerSelectors(container: ContainerStatus): readonly string[] {
  return [...selectors('container-name', container.name), ...selectors('container-image', ...imagesOf(container))];
}

/** By its tag, which an entry can name before the image is pulled, and by its digest. */
function imagesOf({ image, imageId }: ContainerStatus): readonly string[] {
  return [image, imageId];
}

function selectors(key: string, ...values: readonly string[]): readonly string[] {
  return [...new Set(values)].filter((value) => value !== '').map((value) => `${key}:${value}`);
}

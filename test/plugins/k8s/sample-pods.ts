/** One pod as a kubelet lists it, written by hand: only what selectors are made of, and what is passed over. */
export function samplePod(name: string, { uid = `uid-of-${name}`, ids = [`id-of-${name}`], ...more } = {}) {
  return {
    metadata: {
      name,
      namespace: 'shop',
      uid,
      labels: { app: name },
      annotations: { 'kubernetes.io/config.source': 'api' },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `${name}-rs`, uid: `rs-of-${name}`, controller: true },
      ],
    },
    spec: { nodeName: 'node-1', serviceAccountName: 'till', containers: [{ name: 'main', image: `${name}:1` }] },
    status: {
      phase: 'Running',
      containerStatuses: ids.map((id, index) => sampleStatus(`main-${index}`, id)),
    },
    ...more,
  };
}

export function sampleStatus(name: string, id: string) {
  return {
    name,
    image: `registry.example/${name}:1`,
    imageID: `registry.example/${name}@sha256:${'0'.repeat(64)}`,
    containerID: `containerd://${id}`,
    state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
  };
}

export function samplePodList(...items: readonly unknown[]) {
  return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items };
}

import { fileURLToPath } from 'node:url';
import { type Cluster, IMAGE, NODE } from './cluster.ts';

export const NAMESPACE = 'shop';
export const POD = 'till';

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** A container that fetches its identity from the agent, with the files of the host, and writes what it got to a file. */
function fetching(name: string, socketPath: string, outputPath: string, thenSleep: boolean) {
  const fetch = `${process.execPath} ${CLI} agent api fetch x509 -socketPath ${socketPath} -timeout 60s`;
  const command = `chroot /host ${fetch} >/host${outputPath}.new 2>&1; /bin/busybox mv /host${outputPath}.new /host${outputPath}`;
  return {
    name,
    image: IMAGE,
    imagePullPolicy: 'Never',
    command: ['/bin/sh', '-c', thenSleep ? `${command}; exec sleep 1000000` : command],
    volumeMounts: [{ name: 'host', mountPath: '/host' }],
  };
}

/** A pod with an init container, two containers and labels. */
export async function createPod(cluster: Cluster, socketPath: string, outputPathOf: (name: string) => string) {
  const container = (name: string, thenSleep: boolean) => fetching(name, socketPath, outputPathOf(name), thenSleep);
  await cluster.ask('POST', `/api/v1/namespaces/${NAMESPACE}/pods`, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: POD, labels: { app: 'till', tier: 'front' } },
    spec: {
      nodeName: NODE,
      serviceAccountName: 'clerk',
      automountServiceAccountToken: false,
      hostNetwork: true,
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      initContainers: [container('first', false)],
      containers: [container('main', true), container('side', true)],
      volumes: [{ name: 'host', hostPath: { path: '/' } }],
    },
  });
}

/** What `kubectl debug` does. */
export async function addEphemeralContainer(cluster: Cluster, socketPath: string, name: string, outputPath: string) {
  await cluster.ask(
    'PATCH',
    `/api/v1/namespaces/${NAMESPACE}/pods/${POD}/ephemeralcontainers`,
    { spec: { ephemeralContainers: [fetching(name, socketPath, outputPath, true)] } },
    'application/strategic-merge-patch+json',
  );
}

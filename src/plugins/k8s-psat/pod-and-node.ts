import { SpiffeError, z } from '../../plugin-sdk/index.ts';
import type { ApiClient } from '../kubernetes/api-client.ts';
import { objectName } from '../kubernetes/object-names.ts';
import type { ReviewedToken } from './token-review.ts';

export interface Pod {
  readonly labels: Readonly<Record<string, string>>;
  readonly nodeName: string;
  /** Empty before the kubelet has said it. */
  readonly hostIp: string;
}

export interface Node {
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
}

const text = z.string().default('');
const labels = z
  .record(z.string(), z.string())
  .nullish()
  .transform((found) => found ?? {});

const pod = z.object({
  kind: z.literal('Pod'),
  metadata: z.object({ namespace: z.string(), name: z.string(), uid: z.string().min(1), labels }),
  spec: z.object({ nodeName: text, serviceAccountName: text }),
  status: z.object({ phase: text, hostIP: text }).prefault({}),
});
const node = z.object({
  kind: z.literal('Node'),
  metadata: z.object({ name: z.string(), uid: z.string().regex(/^[\w.-]{1,128}$/), labels }),
});

/** A pod in one of these runs nothing any more. Source: Kubernetes API v1, PodStatus. */
const ENDED = ['Succeeded', 'Failed'];

/** The pod of a token. @throws SpiffeError `ATTESTATION_DENIED` where it is not the token's, or has ended, and what the client throws */
export async function getPod(client: Pick<ApiClient, 'send'>, of: ReviewedToken, signal: AbortSignal): Promise<Pod> {
  const name = `pod "${of.namespace}/${of.podName}"`;
  const path = `/api/v1/namespaces/${of.namespace}/pods/${of.podName}`;
  const found = await client.send({ method: 'GET', path, right: '"get" on "pods"', expected: [404] }, signal);
  if (found.status === 404) throw denied(`${name} of the token is gone`);
  const { success, data } = pod.safeParse(found.value);
  if (!success || data.metadata.namespace !== of.namespace || data.metadata.name !== of.podName) {
    throw new SpiffeError('FAILED_PRECONDITION', `the API server’s answer is not ${name}`);
  }
  const { metadata, spec, status } = data;
  if (metadata.uid !== of.podUid) {
    throw denied(
      `${name} is another than that of the token: its UID is ${quote(metadata.uid)}, and not ${quote(of.podUid)}`,
    );
  }
  if (spec.serviceAccountName !== of.serviceAccount) {
    throw denied(`${name} has another service account than the token: ${quote(spec.serviceAccountName)}`);
  }
  if (ENDED.includes(status.phase)) throw denied(`${name} of the token has ended: its phase is ${status.phase}`);
  if (!objectName.safeParse(spec.nodeName).success) throw denied(`${name} of the token is on no node`);
  if (of.nodeName !== undefined && of.nodeName !== spec.nodeName) {
    throw denied(`${name} is on node "${spec.nodeName}", and its token was made on node ${quote(of.nodeName)}`);
  }
  return { labels: metadata.labels, nodeName: spec.nodeName, hostIp: status.hostIP };
}

/** The node of a pod. @throws SpiffeError as {@link getPod} */
export async function getNode(
  client: Pick<ApiClient, 'send'>,
  { nodeName }: Pod,
  of: ReviewedToken,
  signal: AbortSignal,
): Promise<Node> {
  const path = `/api/v1/nodes/${nodeName}`;
  const found = await client.send({ method: 'GET', path, right: '"get" on "nodes"', expected: [404] }, signal);
  if (found.status === 404) throw denied(`node "${nodeName}" is gone`);
  const { success, data } = node.safeParse(found.value);
  if (!success || data.metadata.name !== nodeName) {
    throw new SpiffeError('FAILED_PRECONDITION', `the API server’s answer is not node "${nodeName}"`);
  }
  const { uid } = data.metadata;
  if (of.nodeUid !== undefined && of.nodeUid !== uid) {
    throw denied(
      `node "${nodeName}" is another than that of the token: its UID is ${quote(uid)}, and not ${quote(of.nodeUid)}`,
    );
  }
  return { uid, labels: data.metadata.labels };
}

function denied(message: string): SpiffeError {
  return new SpiffeError('ATTESTATION_DENIED', message);
}

function quote(word: string): string {
  return JSON.stringify(word.slice(0, 200));
}

import type { Node, Pod } from './pod-and-node.ts';
import type { PsatCluster } from './server-state.ts';
import type { ReviewedToken } from './token-review.ts';

/** As SPIRE has them, but that what is not known yet gives none. */
export function psatSelectors(
  { name, config }: PsatCluster,
  { namespace, serviceAccount, podName, podUid }: ReviewedToken,
  pod: Pod,
  node: Node,
): readonly string[] {
  return [
    `cluster:${name}`,
    `agent_ns:${namespace}`,
    `agent_sa:${serviceAccount}`,
    `agent_pod_name:${podName}`,
    `agent_pod_uid:${podUid}`,
    ...(pod.hostIp === '' ? [] : [`agent_node_ip:${pod.hostIp}`]),
    `agent_node_name:${pod.nodeName}`,
    `agent_node_uid:${node.uid}`,
    ...labelSelectors('agent_node_label', node.labels, config.allowed_node_label_keys),
    ...labelSelectors('agent_pod_label', pod.labels, config.allowed_pod_label_keys),
  ];
}

function labelSelectors(kind: string, labels: Readonly<Record<string, string>>, allowed: readonly string[]) {
  return Object.entries(labels)
    .filter(([key]) => allowed.includes(key))
    .map(([key, value]) => `${kind}:${key}:${value}`);
}

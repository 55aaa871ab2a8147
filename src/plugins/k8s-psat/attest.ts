import {
  type AgentAttributes,
  agentId,
  isSpiffeError,
  refusalWith,
  type ServerAttestationContext,
  SpiffeError,
} from '../../plugin-sdk/index.ts';
import { decodePayload } from './payload.ts';
import { getNode, getPod } from './pod-and-node.ts';
import { psatSelectors } from './selectors.ts';
import type { PsatCluster, PsatServerState } from './server-state.ts';
import { reviewToken } from './token-review.ts';

/**
 * Finds out whose the token of an agent is: a pod that runs now, with a service account that is allowed, on which node.
 *
 * @throws SpiffeError `ATTESTATION_DENIED`, `ARGUMENT_INVALID` for a payload that cannot be read, `UNAVAILABLE` or
 *   `FAILED_PRECONDITION` where the API server could not be asked
 * @see docs/plugins/k8s-psat.md
 */
export async function attestPsat(
  payload: Uint8Array,
  { clusters }: Pick<PsatServerState, 'clusters'>,
  context: Pick<ServerAttestationContext, 'trustDomain' | 'signal' | 'now'>,
): Promise<AgentAttributes> {
  const { cluster: name, token } = decodePayload(payload);
  const cluster = clusters.get(name);
  if (cluster === undefined) {
    throw new SpiffeError('ATTESTATION_DENIED', `no cluster ${JSON.stringify(name)} is configured for k8s_psat`);
  }
  try {
    return await attestToken(cluster, token, context);
  } catch (error) {
    if (!isSpiffeError(error) || error.code === 'ATTESTATION_DENIED' || error.code === 'CANCELLED') throw error;
    // What is wrong between this server and the cluster is the operator's to know.
    throw refusalWith(error.code, `the API server of cluster "${name}" could not be asked`, error.message, {
      cause: error,
    });
  }
}

async function attestToken(
  cluster: PsatCluster,
  token: string,
  { trustDomain, signal, now }: Pick<ServerAttestationContext, 'trustDomain' | 'signal' | 'now'>,
): Promise<AgentAttributes> {
  const { name, config, client } = cluster;
  const of = await reviewToken(client, { token, audiences: config.audience }, await now(), signal);
  const account = `${of.namespace}:${of.serviceAccount}`;
  if (!config.service_account_allow_list.includes(account)) {
    throw new SpiffeError(
      'ATTESTATION_DENIED',
      `service account "${account}" is not in the service_account_allow_list of cluster "${name}"`,
    );
  }
  const pod = await getPod(client, of, signal);
  const node = await getNode(client, pod, of, signal);
  const suffix = config.use_pod_uid_for_agent_id ? `pod/${of.podUid}` : node.uid;
  return {
    spiffeId: agentId(trustDomain, 'k8s_psat', `${name}/${suffix}`),
    selectorValues: psatSelectors(cluster, of, pod, node),
    canReattest: true,
  };
}

import { RemoteError } from '../rpc/status.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { Status } from '../spiffe/status.ts';
import type { AttestationContext } from './attestation-context.ts';

/**
 * Trust on first use: what any process of a node can get hold of admits the node once, until its agent is evicted.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` where the agent is attested; what the host answers where it cannot tell
 */
export async function requireFirstUse(
  agentId: SpiffeId,
  { host, log, signal }: Pick<AttestationContext, 'host' | 'log' | 'signal'>,
): Promise<void> {
  const store = await host.agentStore();
  try {
    await store.getAgentInfo({ agentId }, { signal });
  } catch (error) {
    if (error instanceof RemoteError && error.status === Status.NotFound) return;
    throw error;
  }
  log.warning('a node that is attested attests again: somebody else may have been there first', { agent_id: agentId });
  throw new SpiffeError(
    'ATTESTATION_DENIED',
    `agent "${agentId}" has attested before, and attests once only: if this is the same node, let it in again with "server agent evict -spiffeID ${agentId}"`,
  );
}

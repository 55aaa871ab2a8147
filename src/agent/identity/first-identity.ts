import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import type { AgentSvid } from '../attestation/attest-node.ts';
import { type JoinOptions, joinTrustDomain } from '../attestation/join-trust-domain.ts';
import { refusalOf } from '../server-api/refusal.ts';
import { findStoredIdentity, type NodeIdentityOptions, storeSvid } from './node-identity.ts';

/** Goes on as who the node was, or attests it. */
export async function findOrEarnSvid(
  identityOptions: NodeIdentityOptions,
  join: JoinOptions & {
    /** Takes the bundle from its source again where the stored one does not verify the server. Inventory B008. */
    readonly mayBootstrapAnew: boolean;
  },
  signal: AbortSignal,
): Promise<AgentSvid> {
  const stored = await findStoredIdentity(identityOptions);
  if (stored.state === 'usable') return stored.svid;
  if (stored.state === 'unusable') {
    join.log.warning('attesting anew', { spiffe_id: stored.spiffeId, reason: stored.reason });
  }
  try {
    const svid = await joinTrustDomain(join, undefined, signal).catch(async (error: unknown) => {
      if (!join.mayBootstrapAnew || !isSpiffeError(error, 'CERTIFICATE_UNTRUSTED')) throw error;
      join.log.warning('the server is not verified by the stored trust bundle: the agent bootstraps anew');
      await join.trust.replace(await join.trust.readSource(signal));
      return await joinTrustDomain(join, undefined, signal);
    });
    await storeSvid(identityOptions.data, svid, identityOptions.trustDomain);
    return svid;
  } catch (cause) {
    throw explained(
      cause,
      stored.state === 'unusable' ? `${stored.spiffeId} cannot go on, ${stored.reason}; ` : '',
      join,
    );
  }
}

/** One line: what was tried, what came of it, and what to do where that is known. */
function explained(cause: unknown, before: string, { evidence }: JoinOptions): SpiffeError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (isSpiffeError(cause) && cause.code !== 'PERMISSION_DENIED') {
    return before === '' ? cause : new SpiffeError(cause.code, `${before}${reason}`, { cause });
  }
  const refusal = refusalOf(cause);
  const advice =
    refusal === 'banned'
      ? ': an administrator has to delete the agent first'
      : evidence.type === 'join_token'
        ? ': make a new join token with "assayer server token generate" and set join_token'
        : '';
  return new SpiffeError('ATTESTATION_DENIED', `${before}the server refused to attest this node: ${reason}${advice}`, {
    cause,
  });
}

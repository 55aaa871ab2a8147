import { isSpiffeError, messageOf, SpiffeError } from '../../spiffe/error.ts';
import type { AgentSvid } from '../attestation/attest-node.ts';
import { type JoinOptions, joinTrustDomain } from '../attestation/join-trust-domain.ts';
import { isVerdict, refusalOf } from '../server-api/refusal.ts';
import type { RebootstrapSettings } from '../sync/rebootstrap.ts';
import { findStoredIdentity, type NodeIdentityOptions, storeSvid } from './node-identity.ts';

/** Goes on as who the node was, or attests it. */
export async function findOrEarnSvid(
  identityOptions: NodeIdentityOptions,
  join: JoinOptions & {
    /** Takes the bundle from its source again where the stored one does not verify the server. Inventory B008. */
    readonly rebootstrapMode: RebootstrapSettings['mode'];
  },
  signal: AbortSignal,
): Promise<AgentSvid> {
  const stored = await findStoredIdentity(identityOptions);
  if (stored.state === 'usable') return stored.svid;
  if (stored.state === 'unusable') {
    join.log.warning('attesting anew', { spiffe_id: stored.spiffeId, reason: stored.reason });
  }
  const wasReattestable = identityOptions.data.current.svid?.reattestable;
  try {
    const svid = await joinTrustDomain(join, undefined, signal).catch(async (error: unknown) => {
      if (!mayBootstrapAnew(join, wasReattestable) || !isSpiffeError(error, 'CERTIFICATE_UNTRUSTED')) throw error;
      join.log.warning('the server is not verified by the stored trust bundle: the agent bootstraps anew');
      return await joinByTheSource(join, signal);
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

function mayBootstrapAnew(
  { rebootstrapMode: mode, evidence }: { readonly rebootstrapMode: RebootstrapSettings['mode'] } & JoinOptions,
  wasReattestable: boolean | undefined,
): boolean {
  return mode === 'always' || (mode === 'auto' && wasReattestable !== false && evidence.isAvailable);
}

/** Only a server that the source's bundle verifies makes the agent keep it: whoever else answers leaves the stored one. */
async function joinByTheSource(join: JoinOptions, signal: AbortSignal): Promise<AgentSvid> {
  const { trust } = join;
  const before = trust.current;
  try {
    trust.consider(await trust.readSource(signal));
    return await joinTrustDomain(join, undefined, signal);
  } catch (error) {
    if (!isVerdict(error)) await trust.restore(before);
    throw error;
  }
}

/** One line: what was tried, what came of it, and what to do where that is known. */
function explained(cause: unknown, before: string, { evidence }: JoinOptions): SpiffeError {
  const reason = messageOf(cause);
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

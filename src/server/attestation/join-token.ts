import type { JoinTokenRepository } from '../../datastore/join-token-repository.ts';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { agentId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { AttestedNode } from './attestors.ts';

export interface JoinTokens {
  readonly repository: JoinTokenRepository;
  readonly clock: () => Date;
}

/** The attestor's name in agent IDs. */
export const JOIN_TOKEN = 'join_token';
export const MAX_JOIN_TOKEN_BYTES = 256;

/** Takes the token, which is good for one agent, once. Inventory P039. */
export async function attestByJoinToken(
  payload: Uint8Array,
  { repository, clock }: JoinTokens,
  trustDomain: TrustDomain,
): Promise<AttestedNode> {
  const token = payload.length <= MAX_JOIN_TOKEN_BYTES ? Buffer.from(payload).toString('utf8') : '';
  const { expiresAt } = await repository.consume(token).catch((cause: unknown) => {
    if (!isSpiffeError(cause, 'JOIN_TOKEN_NOT_FOUND')) throw cause;
    throw new SpiffeError('ARGUMENT_INVALID', 'failed to attest: join token does not exist or has already been used', {
      cause,
    });
  });
  if (expiresAt * 1000 <= clock().getTime()) throw new SpiffeError('ARGUMENT_INVALID', 'join token expired');
  return { spiffeId: agentId(trustDomain, JOIN_TOKEN, token), selectors: [], canReattest: false };
}

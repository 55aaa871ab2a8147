import type { Repositories } from '../../datastore/datastore.ts';
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

/**
 * Looks at the token, which is good for one agent, once: it is taken with the record of that agent, in one transaction.
 * Inventory P039.
 */
export async function attestByJoinToken(
  payload: Uint8Array,
  { repository, clock }: JoinTokens,
  trustDomain: TrustDomain,
): Promise<AttestedNode> {
  const token = payload.length <= MAX_JOIN_TOKEN_BYTES ? Buffer.from(payload).toString('utf8') : '';
  const found = await repository.find(token);
  if (found === undefined) throw used();
  if (found.expiresAt * 1000 <= clock().getTime()) {
    await take(token, repository);
    throw new SpiffeError('ARGUMENT_INVALID', 'join token expired');
  }
  return {
    spiffeId: agentId(trustDomain, JOIN_TOKEN, token),
    selectors: [],
    canReattest: false,
    claim: ({ joinTokens }: Repositories) => take(token, joinTokens),
  };
}

/** Of any number of callers one gets it. */
async function take(token: string, repository: JoinTokenRepository): Promise<void> {
  try {
    await repository.consume(token);
  } catch (cause) {
    throw isSpiffeError(cause, 'JOIN_TOKEN_NOT_FOUND') ? used(cause) : cause;
  }
}

function used(cause?: unknown): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', 'failed to attest: join token does not exist or has already been used', {
    cause,
  });
}

import type { SPIFFEID } from '../../gen/spire/api/types/types.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { parseSpiffeId, type SpiffeId } from '../../spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';

/** @throws SpiffeError `ARGUMENT_INVALID` for one that is not set, `SPIFFE_ID_INVALID` for one that breaks a rule. */
export function fromApiId(id: SPIFFEID | undefined): SpiffeId {
  if (id === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'the server left a SPIFFE ID out');
  return parseSpiffeId(`spiffe://${parseTrustDomain(id.trustDomain)}${id.path}`);
}

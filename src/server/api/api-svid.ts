import type { JWTSVID, X509SVID } from '../../gen/spire/api/types/types.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { IssuedJwtSvid, IssuedX509Svid } from '../ca/svid-issuer.ts';
import { toApiId } from './api-ids.ts';

export function toApiX509Svid({ chain, expiresAt }: IssuedX509Svid, spiffeId: SpiffeId, hint = ''): X509SVID {
  return { certChain: [...chain], id: toApiId(spiffeId), expiresAt: BigInt(expiresAt), hint };
}

export function toApiJwtSvid({ token, issuedAt, expiresAt }: IssuedJwtSvid, spiffeId: SpiffeId, hint = ''): JWTSVID {
  return { token, id: toApiId(spiffeId), issuedAt: BigInt(issuedAt), expiresAt: BigInt(expiresAt), hint };
}

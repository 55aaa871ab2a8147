import type { SubscribeToX509SVIDsResponse } from '../../gen/spire/api/agent/delegatedidentity/v1/delegatedidentity.ts';
import type { JWTSVID, SPIFFEID } from '../../gen/spire/api/types/types.ts';
import { decodeUnverifiedJwtSvid } from '../../spiffe/jwt-svid.ts';
import { pathOf, type SpiffeId, trustDomainOf } from '../../spiffe/spiffe-id.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import type { WorkloadJwtSvid } from '../workloads/jwt-svids.ts';
import type { WorkloadView } from '../workloads/workload-cache.ts';

export function toSvidsResponse({ identities, federatedBundles }: WorkloadView): SubscribeToX509SVIDsResponse {
  return {
    x509Svids: identities.map(({ entry, svid }) => ({
      x509Svid: {
        certChain: [...svid.chain],
        id: toApiId(svid.spiffeId),
        expiresAt: toSeconds(svid.expiresAt),
        hint: entry.hint,
      },
      x509SvidKey: svid.privateKey,
    })),
    federatesWith: federatedBundles.map(({ trustDomain }) => `spiffe://${trustDomain}`),
  };
}

export function toApiJwtSvid({ spiffeId, hint }: AuthorizedEntry, { token, expiresAt }: WorkloadJwtSvid): JWTSVID {
  const { iat } = decodeUnverifiedJwtSvid(token).claims;
  return {
    token,
    id: toApiId(spiffeId),
    expiresAt: toSeconds(expiresAt),
    issuedAt: typeof iat === 'number' && Number.isSafeInteger(iat) ? BigInt(iat) : 0n,
    hint,
  };
}

function toApiId(id: SpiffeId): SPIFFEID {
  return { trustDomain: trustDomainOf(id), path: pathOf(id) };
}

function toSeconds(time: Date): bigint {
  return BigInt(Math.floor(time.getTime() / 1000));
}

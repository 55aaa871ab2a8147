import type { SubscribeToX509SVIDResponse } from '../../gen/spiffe/broker/broker.ts';
import { authoritiesOf, x509BundlesOf } from '../workload-api/x509.ts';
import type { WorkloadView } from '../workloads/workload-cache.ts';

export function toBrokeredSvids({ identities, bundle, federatedBundles }: WorkloadView): SubscribeToX509SVIDResponse {
  const ownAuthorities = authoritiesOf(bundle);
  return {
    svids: identities.map(({ entry, svid }) => ({
      spiffeId: svid.spiffeId,
      x509Svid: Buffer.concat(svid.chain),
      x509SvidKey: svid.privateKey,
      bundle: ownAuthorities,
      hint: entry.hint,
    })),
    crl: [],
    federatedBundles: x509BundlesOf(federatedBundles),
  };
}

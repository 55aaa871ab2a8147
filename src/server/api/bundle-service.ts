import type { BundleRepository } from '../../datastore/bundle-repository.ts';
import { BundleDefinition } from '../../gen/spire/api/server/bundle/v1/bundle.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import type { BundleKeeper } from '../bundle-keeper.ts';
import { toApiBundle } from './api-bundle.ts';
import { type DownstreamDeps, publishJwtAuthority } from './downstream.ts';

export interface BundleServiceOptions {
  readonly own: BundleKeeper;
  readonly bundles: BundleRepository;
  readonly downstream: DownstreamDeps;
}

/** Inventory R010, R011, R013, R016. */
export function bundleService({ own, bundles, downstream }: BundleServiceOptions): BoundService {
  return bindService(BundleDefinition, {
    async countBundles() {
      return { count: await bundles.count() };
    },
    async getBundle({ outputMask }) {
      return toApiBundle(own.current, outputMask);
    },
    async getFederatedBundle({ trustDomain, outputMask }) {
      const wanted = parseTrustDomain(trustDomain);
      if (wanted === own.current.trustDomain) {
        throw new SpiffeError('ARGUMENT_INVALID', `"${wanted}" is the server's own trust domain, not a federated one`);
      }
      return toApiBundle(await bundles.get(wanted), outputMask);
    },
    publishJWTAuthority: (request) => publishJwtAuthority(request, downstream),
  });
}

import type { BundleRepository } from '../../datastore/bundle-repository.ts';
import { BundleDefinition } from '../../gen/spire/api/server/bundle/v1/bundle.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { BundleKeeper } from '../bundle-keeper.ts';
import type { FederatedBundles } from '../federation/federated-bundles.ts';
import { fromApiJwtAuthorities, fromApiX509Authorities, toApiBundle } from './api-bundle.ts';
import { type DownstreamDeps, publishJwtAuthority } from './downstream.ts';
import { deleteEach, maskedBundle, storeEach } from './federated-bundle-batches.ts';
import { explained, fromApiForeignTrustDomain } from './foreign-trust-domain.ts';
import { toPageRequest } from './page-request.ts';

export interface BundleServiceOptions {
  readonly own: BundleKeeper;
  readonly bundles: BundleRepository;
  readonly federated: FederatedBundles;
  readonly downstream: DownstreamDeps;
  /** Entries may have been deleted, or federate no longer. */
  readonly entriesChanged: () => Promise<unknown>;
}

/** Inventory R010 to R020. */
export function bundleService(options: BundleServiceOptions): BoundService {
  const { own, bundles, federated, entriesChanged, downstream } = options;
  const { trustDomain } = own.current;
  return bindService(BundleDefinition, {
    async countBundles() {
      return { count: await bundles.count() };
    },
    async getBundle({ outputMask }) {
      return toApiBundle(own.current, outputMask);
    },
    async appendBundle({ x509Authorities, jwtAuthorities, outputMask }) {
      if (x509Authorities.length === 0 && jwtAuthorities.length === 0) {
        throw new SpiffeError('ARGUMENT_INVALID', 'no authorities to append');
      }
      const jwt = explained('failed to convert JWT authority', () => fromApiJwtAuthorities(jwtAuthorities));
      const x509 = explained('failed to convert X.509 authority', () => fromApiX509Authorities(x509Authorities));
      await own.append({ x509, jwt });
      return toApiBundle(own.current, outputMask);
    },
    async publishWITAuthority() {
      throw new SpiffeError('UNIMPLEMENTED', 'WIT-SVIDs are not implemented');
    },
    async listFederatedBundles({ outputMask, pageSize, pageToken }) {
      const { items, nextPageToken } = await bundles.list(toPageRequest(pageSize, pageToken));
      const foreign = items.filter((bundle) => bundle.trustDomain !== trustDomain);
      return { bundles: foreign.map((bundle) => toApiBundle(bundle, outputMask)), nextPageToken };
    },
    async getFederatedBundle({ trustDomain: wanted, outputMask }) {
      const bundle = federated.find(fromApiForeignTrustDomain(wanted, trustDomain, 'getting'));
      if (bundle === undefined) throw new SpiffeError('BUNDLE_NOT_FOUND', 'bundle not found');
      return toApiBundle(bundle, outputMask);
    },
    async batchCreateFederatedBundle({ bundle: given, outputMask }) {
      const options = { own: trustDomain, verb: 'creating', outputMask };
      const results = await storeEach(given, options, (bundle) => bundles.create(bundle));
      await federated.refresh();
      return { results };
    },
    async batchUpdateFederatedBundle({ bundle: given, inputMask, outputMask }) {
      const options = { own: trustDomain, verb: 'updating', outputMask };
      const results = await storeEach(given, options, (bundle) =>
        bundles.update(bundle.trustDomain, maskedBundle(bundle, inputMask)),
      );
      await federated.refresh();
      return { results };
    },
    async batchSetFederatedBundle({ bundle: given, outputMask }) {
      const options = { own: trustDomain, verb: 'setting', outputMask };
      const results = await storeEach(given, options, (bundle) => bundles.set(bundle));
      await federated.refresh();
      return { results };
    },
    async batchDeleteFederatedBundle(request) {
      const results = await deleteEach(request, { own: trustDomain, bundles });
      await Promise.all([federated.refresh(), entriesChanged()]);
      return { results };
    },
    publishJWTAuthority: (request, context) => publishJwtAuthority(request, context, downstream),
  });
}

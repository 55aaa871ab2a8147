import type { BundleDeletion, BundleMasked, BundleRepository } from '../../datastore/bundle-repository.ts';
import {
  type BatchDeleteFederatedBundleRequest,
  BatchDeleteFederatedBundleRequest_Mode as Mode,
} from '../../gen/spire/api/server/bundle/v1/bundle.ts';
import type { Bundle as ApiBundle, Status as ApiStatus, BundleMask } from '../../gen/spire/api/types/types.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { fromApiBundle, toApiBundle } from './api-bundle.ts';
import { explained, fromApiForeignTrustDomain, fromApiTrustDomain } from './foreign-trust-domain.ts';
import { ITEM_OK, itemStatus } from './item-status.ts';

export interface BundleResult {
  readonly status: ApiStatus;
  /** Absent where it failed. */
  readonly bundle: ApiBundle | undefined;
}

/** Stores each bundle that can be stored. @param verb for the refusal of our own, such as `creating` */
export async function storeEach(
  bundles: readonly ApiBundle[],
  { own, verb, outputMask }: { own: TrustDomain; verb: string; outputMask: BundleMask | undefined },
  store: (bundle: Bundle) => Promise<Bundle>,
): Promise<BundleResult[]> {
  const results: BundleResult[] = [];
  for (const given of bundles) {
    try {
      fromApiForeignTrustDomain(given.trustDomain, own, verb);
      const stored = await store(explained('failed to convert bundle', () => fromApiBundle(given)));
      results.push({ status: ITEM_OK, bundle: toApiBundle(stored, outputMask) });
    } catch (error) {
      results.push({ status: itemStatus(inSpiresWords(error)), bundle: undefined });
    }
  }
  return results;
}

/** What of a bundle an update replaces; without a mask, all of it. */
export function maskedBundle(bundle: Bundle, mask: BundleMask | undefined): BundleMasked {
  if (mask === undefined) return bundle;
  return {
    ...(mask.x509Authorities && { x509Authorities: bundle.x509Authorities }),
    ...(mask.jwtAuthorities && { jwtAuthorities: bundle.jwtAuthorities }),
    ...(mask.refreshHint && { refreshHintSeconds: bundle.refreshHintSeconds }),
    ...(mask.sequenceNumber && { sequenceNumber: bundle.sequenceNumber }),
  };
}

/** Deletes each bundle that can be deleted. @throws SpiffeError `ARGUMENT_INVALID` for a mode that is none */
export async function deleteEach(
  { trustDomains, mode }: BatchDeleteFederatedBundleRequest,
  { own, bundles }: { own: TrustDomain; bundles: BundleRepository },
): Promise<{ status: ApiStatus; trustDomain: string }[]> {
  const deletion = toDeletion(mode);
  const results = [];
  for (const trustDomain of trustDomains) {
    try {
      const wanted = fromApiTrustDomain(trustDomain);
      if (wanted === own) {
        throw new SpiffeError('ARGUMENT_INVALID', 'removing the bundle for the server trust domain is not allowed');
      }
      await bundles.delete(wanted, deletion);
      results.push({ status: ITEM_OK, trustDomain });
    } catch (error) {
      results.push({ status: itemStatus(inSpiresWords(error)), trustDomain });
    }
  }
  return results;
}

function toDeletion(mode: number): BundleDeletion {
  switch (mode) {
    case Mode.RESTRICT:
      return 'restrict';
    case Mode.DELETE:
      return 'delete';
    case Mode.DISSOCIATE:
      return 'dissociate';
    default:
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        `failed to parse deletion mode: unhandled delete mode ${quoteText(String(mode))}`,
      );
  }
}

/** Clients of SPIRE look for these. */
function inSpiresWords(error: unknown): unknown {
  if (isSpiffeError(error, 'ALREADY_EXISTS'))
    return new SpiffeError(error.code, 'bundle already exists', { cause: error });
  if (isSpiffeError(error, 'BUNDLE_NOT_FOUND'))
    return new SpiffeError(error.code, 'bundle not found', { cause: error });
  if (isSpiffeError(error, 'FAILED_PRECONDITION')) {
    return new SpiffeError(error.code, `failed to delete federated bundle: ${error.message}`, { cause: error });
  }
  return error;
}

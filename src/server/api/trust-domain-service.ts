import type { Datastore, Repositories } from '../../datastore/datastore.ts';
import type { FederationRelationship } from '../../datastore/federation-relationship-repository.ts';
import { TrustDomainDefinition } from '../../gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import type {
  FederationRelationship as ApiFederationRelationship,
  FederationRelationshipMask,
} from '../../gen/spire/api/types/types.ts';
import type { Logger } from '../../log/logger.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { trustDomainOf } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { BundleManager } from '../federation/bundle-manager.ts';
import type { FederatedBundles } from '../federation/federated-bundles.ts';
import { endpointIdOf } from '../federation/relationship.ts';
import { fromApiRelationship, type GivenRelationship, toApiRelationship } from './api-federation-relationship.ts';
import { fromApiTrustDomain } from './foreign-trust-domain.ts';
import { ITEM_OK, itemStatus } from './item-status.ts';
import { toPageRequest } from './page-request.ts';

export interface TrustDomainServiceOptions {
  readonly own: TrustDomain;
  readonly datastore: Pick<Datastore, 'transaction' | 'federationRelationships'>;
  readonly federated: FederatedBundles;
  readonly manager: Pick<BundleManager, 'reload' | 'refreshBundle'>;
  readonly log: Logger;
}

const PARSE_FAILED = 'failed to parse trust domain';

/** Inventory R057 to R062. Relationships of the configuration are not listed, as in SPIRE. */
export function trustDomainService(options: TrustDomainServiceOptions): BoundService {
  const { datastore, federated, manager } = options;
  const { federationRelationships: relationships } = datastore;
  const toApi = (relationship: FederationRelationship, mask: FederationRelationshipMask | undefined) =>
    toApiRelationship(relationship, federated.find(relationship.trustDomain), mask);
  return bindService(TrustDomainDefinition, {
    async listFederationRelationships({ outputMask, pageSize, pageToken }) {
      const { items, nextPageToken } = await relationships.list(toPageRequest(pageSize, pageToken));
      return { federationRelationships: items.map((item) => toApi(item, outputMask)), nextPageToken };
    },
    async getFederationRelationship({ trustDomain, outputMask }) {
      const found = await relationships.find(fromApiTrustDomain(trustDomain, PARSE_FAILED));
      if (found !== undefined) return toApi(found, outputMask);
      throw new SpiffeError('FEDERATION_NOT_FOUND', 'federation relationship does not exist');
    },
    async batchCreateFederationRelationship({ federationRelationships, outputMask }) {
      const stored = await storeEach(federationRelationships, options, requireForeign, async (repositories, given) => {
        await repositories.federationRelationships.create(given);
        return given;
      });
      return { results: stored.map((result) => toResult(result, (given) => toApi(given, outputMask))) };
    },
    async batchUpdateFederationRelationship({ federationRelationships, inputMask, outputMask }) {
      const stored = await storeEach(
        federationRelationships,
        options,
        () => {},
        ({ federationRelationships: repository }, given) =>
          repository.update(given.trustDomain, {
            ...(inputMask?.bundleEndpointUrl !== false && { bundleEndpointUrl: given.bundleEndpointUrl }),
            ...(inputMask?.bundleEndpointProfile !== false && { profile: given.profile }),
          }),
        inputMask?.trustDomainBundle !== false,
      );
      return { results: stored.map((result) => toResult(result, (given) => toApi(given, outputMask))) };
    },
    async batchDeleteFederationRelationship({ trustDomains }) {
      const results = [];
      for (const text of trustDomains) {
        try {
          if (text === '') throw new SpiffeError('ARGUMENT_INVALID', 'missing trust domain');
          const trustDomain = fromApiTrustDomain(text, PARSE_FAILED);
          await relationships.delete(trustDomain);
          results.push({ status: ITEM_OK, trustDomain });
        } catch (error) {
          results.push({ status: itemStatus(inSpiresWords(error)), trustDomain: text });
        }
      }
      manager.reload();
      return { results };
    },
    async refreshBundle({ trustDomain: text }) {
      const trustDomain = fromApiTrustDomain(text, PARSE_FAILED);
      if (await manager.refreshBundle(trustDomain)) return {};
      throw new SpiffeError('FEDERATION_NOT_FOUND', `no relationship with trust domain "${trustDomain}"`);
    },
  });
}

type Stored = { readonly relationship: FederationRelationship } | { readonly error: unknown };

/** Stores each relationship that can be stored, with the bundle that came along or neither. */
async function storeEach(
  given: readonly ApiFederationRelationship[],
  { own, datastore, federated, manager, log }: TrustDomainServiceOptions,
  check: (given: GivenRelationship, own: TrustDomain) => void,
  store: (repositories: Repositories, given: GivenRelationship) => Promise<FederationRelationship>,
  withBundle = true,
): Promise<readonly Stored[]> {
  const results: Stored[] = [];
  for (const one of given) {
    try {
      const parsed = fromApiRelationship(one);
      check(parsed, own);
      const relationship = await datastore.transaction(async (repositories) => {
        const stored = await store(repositories, parsed);
        if (withBundle && parsed.bundle !== undefined) await repositories.bundles.set(parsed.bundle);
        return stored;
      });
      results.push({ relationship });
    } catch (error) {
      results.push({ error });
    }
  }
  await federated.refresh();
  for (const result of results)
    if ('relationship' in result) warnOfMissingBundle(result.relationship, federated, own, log);
  manager.reload();
  return results;
}

function requireForeign({ trustDomain }: GivenRelationship, own: TrustDomain): void {
  if (trustDomain !== own) return;
  throw new SpiffeError('ARGUMENT_INVALID', 'unable to create federation relationship for server trust domain');
}

function toResult(stored: Stored, toApi: (relationship: FederationRelationship) => ApiFederationRelationship) {
  return 'relationship' in stored
    ? { status: ITEM_OK, federationRelationship: toApi(stored.relationship) }
    : { status: itemStatus(inSpiresWords(stored.error)), federationRelationship: undefined };
}

function inSpiresWords(error: unknown): unknown {
  if (isSpiffeError(error, 'FEDERATION_NOT_FOUND')) {
    return new SpiffeError(error.code, 'federation relationship not found', { cause: error });
  }
  if (isSpiffeError(error, 'ALREADY_EXISTS')) {
    return new SpiffeError(error.code, `failed to create federation relationship: ${error.message}`, { cause: error });
  }
  return error;
}

function warnOfMissingBundle(
  relationship: FederationRelationship,
  federated: FederatedBundles,
  own: TrustDomain,
  log: Logger,
): void {
  const endpointId = endpointIdOf(relationship);
  if (endpointId === undefined) return;
  const trustDomain = trustDomainOf(endpointId);
  if (trustDomain === own || federated.find(trustDomain) !== undefined) return;
  log.warning('the bundle endpoint cannot be verified until the bundle of its trust domain is set', {
    trust_domain: relationship.trustDomain,
    endpoint_spiffe_id: endpointId,
  });
}

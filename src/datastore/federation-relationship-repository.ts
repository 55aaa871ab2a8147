import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { Page, PageRequest } from './page.ts';

export type EndpointProfile =
  | { readonly type: 'https_web' }
  | { readonly type: 'https_spiffe'; readonly endpointSpiffeId: SpiffeId };

/** Where the bundle of another trust domain comes from. Source: SPIFFE Federation §5. */
export interface FederationRelationship {
  readonly trustDomain: TrustDomain;
  readonly bundleEndpointUrl: string;
  readonly profile: EndpointProfile;
}

export declare class FederationRelationshipRepository {
  /** @throws SpiffeError `ALREADY_EXISTS` */
  create(relationship: FederationRelationship): Promise<void>;
  /** @throws SpiffeError `FEDERATION_NOT_FOUND` */
  get(trustDomain: TrustDomain): Promise<FederationRelationship>;
  find(trustDomain: TrustDomain): Promise<FederationRelationship | undefined>;
  /** @throws SpiffeError `FEDERATION_NOT_FOUND` */
  update(
    trustDomain: TrustDomain,
    changes: Partial<Omit<FederationRelationship, 'trustDomain'>>,
  ): Promise<FederationRelationship>;
  /** In the order of trust domains; without a page, all. */
  list(page?: PageRequest): Promise<Page<FederationRelationship>>;
  /** @throws SpiffeError `FEDERATION_NOT_FOUND` */
  delete(trustDomain: TrustDomain): Promise<void>;
}

import type { Bundle } from '../spiffe/bundle.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { Page, PageRequest } from './page.ts';

/** What becomes of the entries that federate with a bundle that is deleted: it stays, they stop to federate, they go too. */
export type BundleDeletion = 'restrict' | 'dissociate' | 'delete';

/** Bundles of the own and of federated trust domains. */
export declare class BundleRepository {
  /** @throws SpiffeError `ALREADY_EXISTS` */
  create(bundle: Bundle): Promise<Bundle>;
  /** @throws SpiffeError `BUNDLE_NOT_FOUND` */
  get(trustDomain: TrustDomain): Promise<Bundle>;
  find(trustDomain: TrustDomain): Promise<Bundle | undefined>;
  /** Creates or replaces. The sequence number becomes the given one, or one more than before where that is higher and the content changed. */
  set(bundle: Bundle): Promise<Bundle>;
  /** Adds authorities; creates the bundle where there is none. Sequence number +1 when that changed anything. */
  append(bundle: Bundle): Promise<Bundle>;
  /** In the order of trust domains; without a page, all. */
  list(page?: PageRequest): Promise<Page<Bundle>>;
  count(): Promise<number>;
  /** @throws SpiffeError `BUNDLE_NOT_FOUND`, `FAILED_PRECONDITION` (restrict, and entries federate with it) */
  delete(trustDomain: TrustDomain, mode?: BundleDeletion): Promise<void>;
  /** Removes authorities that expired before `expiredBefore` (Unix seconds), never the last X.509 one. @returns whether any was. */
  prune(trustDomain: TrustDomain, expiredBefore: number): Promise<boolean>;
  /** @param subjectKeyId lower-case hex. @throws SpiffeError `BUNDLE_NOT_FOUND`, `KEY_NOT_FOUND`, `FAILED_PRECONDITION` (already tainted) */
  taintX509Authority(trustDomain: TrustDomain, subjectKeyId: string): Promise<Bundle>;
  /** Removes a tainted authority. @throws SpiffeError `BUNDLE_NOT_FOUND`, `KEY_NOT_FOUND`, `FAILED_PRECONDITION` (not tainted) */
  revokeX509Authority(trustDomain: TrustDomain, subjectKeyId: string): Promise<Bundle>;
  taintJwtAuthority(trustDomain: TrustDomain, keyId: string): Promise<Bundle>;
  revokeJwtAuthority(trustDomain: TrustDomain, keyId: string): Promise<Bundle>;
}

import { hasX509Authority } from '../../spiffe/bundle.ts';
import { isSpiffeError } from '../../spiffe/error.ts';
import { type Certificate, parseCertificate } from '../../x509/certificate.ts';
import { verifyChain } from '../../x509/chain.ts';
import type { KeyType, Signer } from '../../x509/signer.ts';
import type { BundleKeeper } from '../bundle-keeper.ts';
import type { AuthorityKeys } from './authority-keys.ts';
import type { AuthorityKind } from './authority-kind.ts';
import type { Slot, X509Record } from './authority-records.ts';
import type { CaAnchor } from './ca-anchor.ts';

/** A CA certificate with the key that signs for it. */
export interface X509SigningAuthority {
  readonly signer: Signer;
  readonly certificate: Certificate;
  /** What goes along with an SVID that it signs, to link it to the bundle: DER; empty for a root. */
  readonly intermediates: readonly Uint8Array[];
  /** Lower-case hex of the subject key identifier. */
  readonly authorityId: string;
  /** Unix seconds. */
  readonly notAfter: number;
}

export interface X509AuthorityOptions {
  readonly keys: AuthorityKeys;
  readonly keyType: KeyType;
  readonly anchor: CaAnchor;
  readonly bundle: BundleKeeper;
  readonly clock: () => Date;
}

/** Clocks differ: a certificate is valid from a little before it is made. */
export const BACKDATE_SECONDS = 10;

const KEY_PREFIX = 'x509-CA-';
const keyId = (slot: Slot) => `${KEY_PREFIX}${slot}`;

/** By its name in the key manager. */
export function isX509CaKey(id: string): boolean {
  return id.startsWith(KEY_PREFIX);
}

export function authorityIdOf(certificate: Certificate): string {
  return Buffer.from(certificate.subjectKeyId ?? []).toString('hex');
}

export function x509Authorities(options: X509AuthorityOptions): AuthorityKind<X509Record, X509SigningAuthority> {
  const { keys, keyType, anchor, bundle, clock } = options;
  return {
    name: 'X.509',
    recordsOf: ({ x509 }) => x509,
    withRecords: (content, x509) => ({ ...content, x509 }),
    async make(slot, now) {
      const signer = await keys.generateKey(keyId(slot), keyType);
      const { chain, upstreamAuthorityId, notAfter } = await anchor.certify(signer, now);
      const authorityId = authorityIdOf(parseLeaf(chain));
      return { slot, state: 'prepared', authorityId, upstreamAuthorityId, chain, issuedAt: now, notAfter };
    },
    async find(record) {
      const signer = await keys.findKey(keyId(record.slot));
      const certificate = parseLeaf(record.chain);
      if (signer === undefined || Buffer.compare(certificate.subjectPublicKeyInfo, signer.publicKey) !== 0) {
        return undefined;
      }
      return {
        signer,
        certificate,
        intermediates: record.upstreamAuthorityId === '' ? [] : record.chain,
        authorityId: record.authorityId,
        notAfter: record.notAfter,
      };
    },
    isPublished: ({ chain, upstreamAuthorityId }) =>
      upstreamAuthorityId === ''
        ? chain.some((certificate) => hasX509Authority(bundle.current, certificate))
        : isBelow(bundle.current.x509Authorities, chain, clock()),
    taint: (authorityId) => bundle.taintX509(authorityId),
    revoke: (authorityId) => bundle.revokeX509(authorityId),
    findRevocationProblem: (_authorityId, record) =>
      record?.state === 'old' ? undefined : 'only Old local authority can be revoked',
  };
}

function parseLeaf([leaf = new Uint8Array()]: readonly Uint8Array[]): Certificate {
  return parseCertificate(leaf);
}

/** Whether one of the roots verifies a CA's chain, leaf first. */
export function isBelow(
  roots: readonly { readonly certificate: Uint8Array }[],
  chain: readonly Uint8Array[],
  now: Date,
): boolean {
  const [leaf, ...intermediates] = chain.map(parseCertificate);
  if (leaf === undefined) return false;
  try {
    verifyChain({ leaf, intermediates, roots: roots.map(({ certificate }) => parseCertificate(certificate)), now });
    return true;
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return false;
  }
}

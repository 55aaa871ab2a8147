import type { JwtAuthority } from '../../spiffe/bundle.ts';
import type { Signer } from '../../x509/signer.ts';

/** The certificate of an X.509 CA. */
export interface CertifiedCa {
  /** DER: the CA certificate, and what links it to a root above, if anything does; the root is not among them. */
  readonly chain: readonly Uint8Array[];
  /** Lower-case hex of the subject key identifier of the root above; empty: the CA is its own root. */
  readonly upstreamAuthorityId: string;
  /** Unix seconds. */
  readonly notAfter: number;
}

/** What the server's authorities hang on: nothing but its own bundle, or a PKI above. */
export interface CaAnchor {
  /** Whether X.509 CAs are signed by a PKI above: its roots can be tainted and revoked, not the CAs. */
  readonly hasUpstream: boolean;
  /** Certifies a new key. What verifies it is in the bundle when it returns: nothing signs that the bundle does not have. */
  certify(signer: Signer, now: number): Promise<CertifiedCa>;
  /** Makes a new key known to all that verify tokens. It is in the bundle when it returns. */
  publishJwtAuthority(authority: JwtAuthority): Promise<void>;
}

import { constants, KeyObject } from 'node:crypto';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import type { Bundle } from '../spiffe/bundle.ts';
import { isSpiffeError, messageOf, SpiffeError } from '../spiffe/error.ts';
import { type SpiffeId, trustDomainOf } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { spiffeIdOfCertificate, validateX509Svid, type X509SvidIdentity } from '../spiffe/x509-svid.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { encodePem } from '../x509/pem.ts';
import type { ManagedTlsKey } from './managed-tls-key.ts';

/** What one end of a TLS connection shows and proves. */
export interface TlsIdentity {
  /** DER, leaf first, then whatever leads to an authority of the bundle. */
  readonly certificates: readonly Uint8Array[];
  readonly privateKey: KeyObject | ManagedTlsKey;
}

export interface TlsPolicy {
  /** Only TLS 1.3 with X25519MLKEM768: whoever cannot do that does not connect. */
  readonly requirePqKem?: boolean;
}

/**
 * TLS 1.2 or later, without session tickets and renegotiation, and without an authority of OpenSSL's own: peers are verified by
 * {@link verifyPeer} alone, against the bundle of the moment and by the rules of X.509-SVIDs.
 *
 * @param use makes a context of the options.
 * @throws SpiffeError `ARGUMENT_INVALID` where key and certificate do not belong together.
 */
export function withSecureContextOptions<T>(
  identity: TlsIdentity | undefined,
  { requirePqKem }: TlsPolicy,
  use: (options: SecureContextOptions) => T,
): T {
  try {
    return use({
      ca: [], // absent would mean Mozilla's
      minVersion: requirePqKem ? 'TLSv1.3' : 'TLSv1.2',
      secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
      ...(requirePqKem ? { ecdhCurve: 'X25519MLKEM768' } : {}),
      ...(identity === undefined ? {} : identityOptions(identity)),
    });
  } catch (cause) {
    if (isSpiffeError(cause)) throw cause;
    const reason = messageOf(cause);
    throw new SpiffeError('ARGUMENT_INVALID', `the TLS identity cannot be used: ${reason}`, { cause });
  }
}

function identityOptions({ certificates, privateKey }: TlsIdentity): SecureContextOptions {
  const cert = certificates.map((der) => encodePem('CERTIFICATE', der)).join('');
  return privateKey instanceof KeyObject
    ? { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) }
    : { cert, ...privateKey.secureContextOptions };
}

/** What the peer of a finished handshake sent: DER, leaf first, in its own order. Empty where it sent none. */
export function peerCertificatesOf(socket: TLSSocket): readonly Uint8Array[] {
  const certificates: Uint8Array[] = [];
  let certificate = socket.getPeerX509Certificate();
  while (certificate !== undefined) {
    certificates.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  return certificates;
}

/**
 * Verifies what a peer sent as an X.509-SVID.
 *
 * @param findBundle gives the bundle of the trust domain that the leaf claims to be of.
 * @throws SpiffeError `SVID_INVALID`, `CERTIFICATE_INVALID`, `CERTIFICATE_UNTRUSTED`
 */
export function verifyPeer(
  certificates: readonly Uint8Array[],
  findBundle: (trustDomain: TrustDomain) => Bundle | undefined,
  now: Date,
): X509SvidIdentity {
  const trustDomain = trustDomainOf(claimedIdOf(certificates));
  const bundle = findBundle(trustDomain);
  if (bundle === undefined) {
    throw new SpiffeError('CERTIFICATE_UNTRUSTED', `no bundle of trust domain "${trustDomain}" is known`);
  }
  return validateX509Svid(certificates, bundle, now);
}

/** The SPIFFE ID in the leaf of what a peer sent; nothing is verified. @throws SpiffeError `SVID_INVALID` */
export function claimedIdOf([leaf]: readonly Uint8Array[]): SpiffeId {
  if (leaf === undefined) throw new SpiffeError('SVID_INVALID', 'no certificate was sent');
  return spiffeIdOfCertificate(parseCertificate(leaf));
}

import type { SPIFFEID } from '../gen/spire/api/types/types.ts';
import type { Bundle } from '../spiffe/bundle.ts';
import { isSpiffeError } from '../spiffe/error.ts';
import { pathOf, trustDomainOf } from '../spiffe/spiffe-id.ts';
import { spiffeIdOfCertificate, validateX509Svid } from '../spiffe/x509-svid.ts';
import type { Certificate } from '../x509/certificate.ts';
import { formatName } from '../x509/name.ts';

/** A certificate as `GetInfo` of both programs describes it. */
export interface DescribedCertificate {
  readonly id: SPIFFEID | undefined;
  /** Unix seconds. */
  readonly expiresAt: bigint;
  readonly subject: string;
}

/**
 * A program's own X509-SVID, with what leads to the authority of the bundle, which is the last.
 *
 * @param chain DER, leaf first
 * @throws SpiffeError `CERTIFICATE_UNTRUSTED` where the bundle has no authority for it
 */
export function describeSvidChain(chain: readonly Uint8Array[], bundle: Bundle, now: Date): DescribedCertificate[] {
  return validateX509Svid(chain, bundle, now).chain.map((certificate) => ({
    id: findApiId(certificate),
    expiresAt: BigInt(Math.floor(certificate.notAfter.getTime() / 1000)),
    subject: formatName(certificate.subject),
  }));
}

/** An authority need not have one. */
function findApiId(certificate: Certificate): SPIFFEID | undefined {
  try {
    const id = spiffeIdOfCertificate(certificate);
    return { trustDomain: trustDomainOf(id), path: pathOf(id) };
  } catch (error) {
    if (isSpiffeError(error, 'SVID_INVALID')) return undefined;
    throw error;
  }
}

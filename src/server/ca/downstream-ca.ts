import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { issueCaCertificate } from '../../x509/ca-template.ts';
import type { DistinguishedName } from '../../x509/name.ts';
import { decimalSerialNumber, randomSerialNumber } from '../../x509/serial-number.ts';
import type { ComposedCa } from './composing/composers.ts';
import { BACKDATE_SECONDS, type X509SigningAuthority } from './x509-authorities.ts';

/** What the CA of a server below this one is called, beside the subject of this server's own. */
const ORGANIZATIONAL_UNIT = 'DOWNSTREAM-1';

/** How the CAs of servers below are made. */
export interface DownstreamCaOptions {
  readonly trustDomain: TrustDomain;
  /** Of this server's own CA. */
  readonly subject: DistinguishedName;
  /** Where neither the entry nor the server below says. */
  readonly ttlSeconds: number;
}

export interface DownstreamCaRequest {
  /** SubjectPublicKeyInfo, DER, whose private key the requester has proved to hold. */
  readonly publicKey: Uint8Array;
  /** Unset: as the options say. */
  readonly ttlSeconds?: number | undefined;
}

/** What the CA of a server below is called, before anybody else has a say. */
export function downstreamCaSubject({ subject }: DownstreamCaOptions): DistinguishedName {
  // The serial number keeps the subjects of two generations apart, which verifiers look issuers up by.
  const serialNumber = decimalSerialNumber(randomSerialNumber());
  return { ...subject, organizationalUnit: ORGANIZATIONAL_UNIT, serialNumber };
}

/** Signs the CA of a server below; it ends with the authority that signed it at the latest. @returns DER, the new CA first */
export async function issueDownstreamCa(
  { publicKey, ttlSeconds, composed }: DownstreamCaRequest & { readonly composed: ComposedCa },
  { signer, certificate, intermediates, notAfter }: X509SigningAuthority,
  { trustDomain, ttlSeconds: usualTtlSeconds }: DownstreamCaOptions,
  now: number,
): Promise<readonly Uint8Array[]> {
  const downstream = await issueCaCertificate({
    issuer: { signer, certificate },
    subjectPublicKeyInfo: publicKey,
    ...composed,
    trustDomain,
    serialNumber: randomSerialNumber(),
    notBefore: new Date((now - BACKDATE_SECONDS) * 1000),
    notAfter: new Date(Math.min(now + (ttlSeconds ?? usualTtlSeconds), notAfter) * 1000),
  });
  return [downstream, ...intermediates];
}

import {
  isSpiffeError,
  issueCaCertificate,
  parseCertificate,
  parseCsr,
  randomSerialNumber,
  SpiffeError,
  verifyChain,
} from '../../plugin-sdk/index.ts';
import type { DiskAuthority } from './read-authority.ts';

/** Clocks differ: a certificate is valid from a little before it is made. */
const BACKDATE_MS = 10_000;
const DEFAULT_TTL_SECONDS = 24 * 3600;

export interface CaToSign {
  readonly subjectPublicKeyInfo: Uint8Array;
  /** Name element. */
  readonly subject: Uint8Array;
}

/**
 * The request of a server for its CA.
 *
 * @throws SpiffeError `CSR_INVALID`; `ARGUMENT_INVALID` where it names anything but the trust domain
 */
export function parseCaRequest(csr: Uint8Array, trustDomain: string): CaToSign {
  const { subjectPublicKeyInfo, subject, uriNames, dnsNames } = parseCsr(csr);
  const id = `spiffe://${trustDomain}`;
  const strange = [...uriNames.filter((name) => name !== id), ...dnsNames][0];
  if (strange !== undefined || uriNames.length > 1) {
    throw new SpiffeError('ARGUMENT_INVALID', `the CSR of a CA of "${trustDomain}" may have the URI name ${id} alone`);
  }
  return { subjectPublicKeyInfo, subject };
}

/**
 * Signs a CA certificate that ends with its issuer at the latest, and verifies it as everybody will.
 *
 * @param ttlSeconds 0: a day
 * @returns DER: the certificate, then what leads to a root
 * @throws SpiffeError `FAILED_PRECONDITION` where it would not verify, with the reason
 */
export async function signCa(
  { signer, certificate, chain, roots }: DiskAuthority,
  { subjectPublicKeyInfo, subject }: CaToSign,
  { trustDomain, ttlSeconds }: { readonly trustDomain: string; readonly ttlSeconds: number },
): Promise<readonly Uint8Array[]> {
  const now = Date.now();
  const end = Math.min(
    now + (ttlSeconds > 0 ? ttlSeconds : DEFAULT_TTL_SECONDS) * 1000,
    certificate.notAfter.getTime(),
  );
  try {
    const signed = await issueCaCertificate({
      issuer: { signer, certificate },
      subjectPublicKeyInfo,
      subject,
      trustDomain,
      serialNumber: randomSerialNumber(),
      notBefore: new Date(Math.min(now - BACKDATE_MS, end - 1000)),
      notAfter: new Date(end),
    });
    verifyChain({ leaf: parseCertificate(signed), intermediates: chain, roots, now: new Date(now) });
    return [signed, ...chain.map(({ der }) => der)];
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('FAILED_PRECONDITION', cause.message, { cause });
  }
}

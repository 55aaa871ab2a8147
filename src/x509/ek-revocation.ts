import { createHash } from 'node:crypto';
import type { Certificate } from './certificate.ts';
import { type CertificateRevocationList, isCrlSignedBy } from './crl.ts';
import { formatName } from './name.ts';
import { requireCheck } from './require-check.ts';

/** What an operator no longer trusts. */
export interface EkRevocation {
  /** SHA-256 of a canonical SPKI, lower-case hex. */
  readonly publicKeyHashes: ReadonlySet<string>;
  /** As {@link certificateLabel} writes it: serial number and issuer. */
  readonly certificateLabels: ReadonlySet<string>;
  readonly crls: readonly CertificateRevocationList[];
}

/** `14 CN=swtpm-localca`: the serial number in lower-case hex without leading zeros, and the issuer as RFC 4514 writes it. */
export function certificateLabel(certificate: Pick<Certificate, 'serialNumber' | 'issuer'>): string {
  const serial = Buffer.from(certificate.serialNumber)
    .toString('hex')
    .replace(/^0+(?=.)/, '');
  return `${serial} ${formatName(certificate.issuer)}`;
}

/** @param spki canonical @throws SpiffeError `ATTESTATION_DENIED` (A8) */
export function requireUnrevokedKey(spki: Uint8Array, revocation: EkRevocation): void {
  const hash = createHash('sha256').update(spki).digest('hex');
  requireCheck('A8', !revocation.publicKeyHashes.has(hash), `the endorsement key ${hash} is revoked`);
}

/**
 * Looks every certificate of a verified chain up, except its root.
 *
 * @param chain leaf … root
 * @throws SpiffeError `ATTESTATION_DENIED` (A8): for a CRL of an issuer in the chain that is out of date or not its own, too
 */
export function requireUnrevokedChain(chain: readonly Certificate[], revocation: EkRevocation, now: Date): void {
  for (const [position, certificate] of chain.entries()) {
    const label = certificateLabel(certificate);
    requireCheck('A8', !revocation.certificateLabels.has(label), `the certificate ${label} is revoked`);
    const issuer = chain[position + 1];
    if (issuer !== undefined) {
      requireUnlisted(certificate, issuer, revocation.crls, now);
    }
  }
}

function requireUnlisted(
  certificate: Certificate,
  issuer: Certificate,
  crls: readonly CertificateRevocationList[],
  now: Date,
): void {
  const named = crls.filter((crl) => Buffer.compare(crl.issuer, certificate.issuer) === 0);
  if (named.length === 0) {
    return;
  }
  const name = formatName(certificate.issuer);
  const signed = named.filter((crl) => isCrlSignedBy(crl, issuer));
  requireCheck('A8', signed.length > 0, `the CRL of ${name} is not signed by the CA that is in the chain`);
  const serial = Buffer.from(certificate.serialNumber).toString('hex');
  for (const crl of signed) {
    requireCheck('A8', !crl.revokedSerials.has(serial), `the certificate ${serial} is on the CRL of ${name}`);
    requireCheck(
      'A8',
      crl.thisUpdate <= now && (crl.nextUpdate === undefined || now < crl.nextUpdate),
      `the CRL of ${name} is out of date: put a current one in "crl_path"`,
    );
  }
}

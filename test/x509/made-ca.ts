import { issueCaCertificate } from '../../src/x509/ca-template.ts';
import { type Certificate, parseCertificate } from '../../src/x509/certificate.ts';
import type { Issuer } from '../../src/x509/certificate-template.ts';
import type { Signer } from '../../src/x509/signer.ts';
import { ecSigner, HOUR_MS, randomSerial } from './made-certificate.ts';

const now = new Date();
/** Of a certificate that is valid at the time of the run, which openssl goes by. */
export const currentDates = {
  notBefore: new Date(now.getTime() - 10_000),
  notAfter: new Date(now.getTime() + HOUR_MS),
};

export async function makeRoot(signer: Signer = ecSigner()): Promise<Issuer> {
  const options = { issuer: 'self', signer, trustDomain: 'example.org', serialNumber: randomSerial() } as const;
  return { signer, certificate: parseCertificate(await issueCaCertificate({ ...options, ...currentDates })) };
}

export async function makeIntermediate(issuer: Issuer): Promise<Issuer> {
  const signer = ecSigner();
  const options = { issuer, signer, trustDomain: 'example.org', serialNumber: randomSerial() };
  return { signer, certificate: parseCertificate(await issueCaCertificate({ ...options, ...currentDates })) };
}

/** What of an extension X509-SVID appendix A fixes: OID and criticality, in wire order. */
export const extensionsOf = ({ extensions }: Certificate): readonly (readonly [string, boolean])[] =>
  [...extensions.values()].map(({ oid, isCritical }) => [oid, isCritical]);

export const usagesOf = ({ keyUsage }: Certificate): readonly string[] =>
  Object.entries(keyUsage ?? {}).flatMap(([name, isSet]) => (isSet ? [name] : []));

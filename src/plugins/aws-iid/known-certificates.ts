import {
  type Certificate,
  decodePem,
  isSpiffeError,
  parseCertificate,
  publicKeyOfSpki,
  readCapped,
  SpiffeError,
} from '../../plugin-sdk/index.ts';
import type { FindCertificates } from './identity-document.ts';
import { REGION_CERTIFICATES } from './region-certificates.ts';

const LEAST_KEY_BITS = 2048;

/**
 * AWS' certificates by region: those of the configuration, and of other regions the pinned ones.
 *
 * @param files region → path of PEM
 * @throws SpiffeError `CONFIG_INVALID`
 */
export async function readCertificates(files: Readonly<Record<string, string>>): Promise<FindCertificates> {
  const configured = new Map<string, readonly Certificate[]>();
  for (const [region, path] of Object.entries(files)) configured.set(region, await readFile(region, path));
  const pinned = new Map<string, readonly Certificate[]>();
  return (region) => {
    const known = configured.get(region) ?? pinned.get(region);
    if (known !== undefined) return known;
    const base64 = REGION_CERTIFICATES.get(region);
    if (base64 === undefined) return [];
    const certificates = [parseCertificate(new Uint8Array(Buffer.from(base64, 'base64')))];
    pinned.set(region, certificates);
    return certificates;
  };
}

async function readFile(region: string, path: string): Promise<readonly Certificate[]> {
  const setting = `region_certificates.${region}`;
  const refuse = (what: string, cause?: unknown) =>
    new SpiffeError('CONFIG_INVALID', `${setting}: "${path}" ${what}`, { cause });
  const content = await readCapped(setting, path);
  try {
    const certificates = decodePem(content.toString('latin1'), 'CERTIFICATE').map((der) => parseCertificate(der));
    if (certificates.length === 0) throw refuse('has no PEM certificate');
    for (const { subjectPublicKeyInfo } of certificates) {
      const { asymmetricKeyType: type, asymmetricKeyDetails } = publicKeyOfSpki(subjectPublicKeyInfo);
      if (type !== 'rsa' || (asymmetricKeyDetails?.modulusLength ?? 0) < LEAST_KEY_BITS) {
        throw refuse(
          'has a certificate whose key is no RSA key of 2048 bits or more: take AWS’ certificate "RSA-2048"',
        );
      }
    }
    return certificates;
  } catch (cause) {
    if (!isSpiffeError(cause) || cause.code === 'CONFIG_INVALID') throw cause;
    throw refuse(`has a certificate that cannot be read: ${cause.message}`, cause);
  }
}

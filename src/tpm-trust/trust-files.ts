import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { type CertificateRevocationList, parseCrl } from '../x509/crl.ts';
import type { EkRevocation } from '../x509/ek-revocation.ts';
import { decodePem } from '../x509/pem.ts';
import { type ListedFile, readListedFiles } from './read-listed-files.ts';

const DER_SEQUENCE = 0x30;
const PUB_HASH = /^[0-9a-f]{64}$/;
const CERTIFICATE_LABEL = /^([0-9a-f]{1,42})\s+(\S.*)$/i;

/**
 * Certificates in PEM or DER, of a file or of every file in a folder; none without a path.
 *
 * @param key names the setting in errors
 * @throws SpiffeError `CONFIG_INVALID`, naming setting and file
 */
export async function readCertificates(key: string, path: string | undefined): Promise<readonly Certificate[]> {
  return await readDers(key, path, 'CERTIFICATE', parseCertificate);
}

/** CRLs, otherwise as {@link readCertificates}. */
export async function readCrls(key: string, path: string | undefined): Promise<readonly CertificateRevocationList[]> {
  return await readDers(key, path, 'X509 CRL', parseCrl);
}

async function readDers<T>(
  key: string,
  path: string | undefined,
  label: string,
  parse: (der: Uint8Array) => T,
): Promise<readonly T[]> {
  const files = path === undefined ? [] : await readListedFiles(key, path);
  return files.flatMap((file) => {
    try {
      const isDer = file.content[0] === DER_SEQUENCE;
      const ders = isDer ? [file.content] : decodePem(Buffer.from(file.content).toString('latin1'), label);
      if (ders.length === 0) {
        throw new SpiffeError('CONFIG_INVALID', `it holds neither DER nor a PEM block "${label}"`);
      }
      return ders.map(parse);
    } catch (cause) {
      if (!isSpiffeError(cause)) throw cause;
      throw new SpiffeError('CONFIG_INVALID', `${key}: "${file.path}": ${cause.message}`, { cause });
    }
  });
}

/** Lines of an EK's hash, or of a certificate's serial number in hex and its issuer; otherwise as {@link readCertificates}. */
export async function readRevoked(key: string, path: string | undefined): Promise<Omit<EkRevocation, 'crls'>> {
  const publicKeyHashes = new Set<string>();
  const certificateLabels = new Set<string>();
  const files = path === undefined ? [] : await readListedFiles(key, path);
  for (const { where, text } of files.flatMap(linesOf)) {
    const [, serial = '', issuer] = CERTIFICATE_LABEL.exec(text) ?? [];
    if (PUB_HASH.test(text.toLowerCase())) {
      publicKeyHashes.add(text.toLowerCase());
    } else if (issuer !== undefined) {
      certificateLabels.add(`${serial.toLowerCase().replace(/^0+(?=.)/, '')} ${issuer}`);
    } else {
      throw new SpiffeError(
        'CONFIG_INVALID',
        `${key}: ${where}: must be an EK's SHA-256 in 64 hex digits, or a serial number in hex and the issuer, ` +
          'such as "14 CN=swtpm-localca"',
      );
    }
  }
  return { publicKeyHashes, certificateLabels };
}

/** Without empty lines and those that begin with `#`. */
export function linesOf(file: ListedFile): readonly { readonly where: string; readonly text: string }[] {
  return textOf(file)
    .split('\n')
    .map((line, position) => ({ where: `"${file.path}" line ${position + 1}`, text: line.trim() }))
    .filter(({ text }) => text !== '' && !text.startsWith('#'));
}

export function textOf(file: ListedFile): string {
  return Buffer.from(file.content).toString('utf8');
}

import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { type Certificate, parseCertificate } from '../../x509/certificate.ts';
import { type CertificateRevocationList, parseCrl } from '../../x509/crl.ts';
import type { EkTrust } from '../../x509/ek-certificate.ts';
import type { EkRevocation } from '../../x509/ek-revocation.ts';
import { decodePem } from '../../x509/pem.ts';
import type { TpmServerConfig } from './config.ts';
import { isFolder, type ListedFile, readListedFiles } from './read-listed-files.ts';

export type EkKind = 'hardware' | 'virtual';

/** All that the configured files say, read once. */
export interface TrustStore extends EkTrust {
  /** Lower-case hex of the SHA-256 of a canonical EK SPKI, and what the operator says that the TPM is. */
  readonly enrolled: ReadonlyMap<string, EkKind>;
}

type TrustConfig = Pick<
  TpmServerConfig,
  | 'ca_path'
  | 'virtual_ca_path'
  | 'hash_path'
  | 'revoked_path'
  | 'crl_path'
  | 'virtual_manufacturers'
  | 'tolerate_missing_eku'
>;

const DER_SEQUENCE = 0x30;
const PUB_HASH = /^[0-9a-f]{64}$/;
const CERTIFICATE_LABEL = /^([0-9a-f]{1,42})\s+(\S.*)$/i;

/** @throws SpiffeError `CONFIG_INVALID`, naming the setting, the file and the line */
export async function readTrustStore(config: TrustConfig): Promise<TrustStore> {
  const [hardwareCas, virtualCas, crls, revoked, enrolled] = await Promise.all([
    readCertificates('ca_path', config.ca_path),
    readCertificates('virtual_ca_path', config.virtual_ca_path),
    readCrls(config.crl_path),
    readRevoked(config.revoked_path),
    readEnrolled(config.hash_path),
  ]);
  return {
    hardwareCas,
    virtualCas,
    virtualManufacturers: new Set(config.virtual_manufacturers.map((manufacturer) => manufacturer.toLowerCase())),
    tolerateMissingEku: config.tolerate_missing_eku,
    revocation: { ...revoked, crls },
    enrolled,
  };
}

async function readCertificates(key: string, path: string | undefined): Promise<readonly Certificate[]> {
  return await readDers(key, path, 'CERTIFICATE', parseCertificate);
}

async function readCrls(path: string | undefined): Promise<readonly CertificateRevocationList[]> {
  return await readDers('crl_path', path, 'X509 CRL', parseCrl);
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

/** Lines of `<hash> [hardware|virtual]`; in a folder the name of a file is the hash, its content the word. */
async function readEnrolled(path: string | undefined): Promise<ReadonlyMap<string, EkKind>> {
  if (path === undefined) {
    return new Map();
  }
  const files = await readListedFiles('hash_path', path);
  const lines = (await isFolder(path))
    ? files.map((file) => ({ where: file.path, text: `${file.name} ${textOf(file)}` }))
    : files.flatMap(linesOf);
  return new Map(
    lines.map(({ where, text }) => {
      const [hash = '', kind = 'virtual', ...rest] = text.trim().split(/\s+/);
      if (!PUB_HASH.test(hash.toLowerCase()) || (kind !== 'hardware' && kind !== 'virtual') || rest.length > 0) {
        throw new SpiffeError(
          'CONFIG_INVALID',
          `hash_path: ${where}: must be the SHA-256 of an EK in 64 hex digits, then "hardware", "virtual" or nothing`,
        );
      }
      return [hash.toLowerCase(), kind];
    }),
  );
}

/** Lines of an EK's hash, or of a certificate's serial number in hex and its issuer. */
async function readRevoked(path: string | undefined): Promise<Omit<EkRevocation, 'crls'>> {
  const publicKeyHashes = new Set<string>();
  const certificateLabels = new Set<string>();
  const files = path === undefined ? [] : await readListedFiles('revoked_path', path);
  for (const { where, text } of files.flatMap(linesOf)) {
    const [, serial = '', issuer] = CERTIFICATE_LABEL.exec(text) ?? [];
    if (PUB_HASH.test(text.toLowerCase())) {
      publicKeyHashes.add(text.toLowerCase());
    } else if (issuer !== undefined) {
      certificateLabels.add(`${serial.toLowerCase().replace(/^0+(?=.)/, '')} ${issuer}`);
    } else {
      throw new SpiffeError(
        'CONFIG_INVALID',
        `revoked_path: ${where}: must be an EK's SHA-256 in 64 hex digits, or a serial number in hex and the issuer, ` +
          'such as "14 CN=swtpm-localca"',
      );
    }
  }
  return { publicKeyHashes, certificateLabels };
}

/** Without empty lines and those that begin with `#`. */
function linesOf(file: ListedFile): readonly { readonly where: string; readonly text: string }[] {
  return textOf(file)
    .split('\n')
    .map((line, position) => ({ where: `"${file.path}" line ${position + 1}`, text: line.trim() }))
    .filter(({ text }) => text !== '' && !text.startsWith('#'));
}

function textOf(file: ListedFile): string {
  return Buffer.from(file.content).toString('utf8');
}

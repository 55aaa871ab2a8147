import { SpiffeError } from '../spiffe/error.ts';
import type { EkTrust } from '../x509/ek-certificate.ts';
import { isFolder, readListedFiles } from './read-listed-files.ts';
import { linesOf, readCertificates, readCrls, readRevoked, textOf } from './trust-files.ts';

export type EkKind = 'hardware' | 'virtual';

/** All that the configured files say, read once. */
export interface EkTrustStore extends EkTrust {
  /** Lower-case hex of the SHA-256 of a canonical EK SPKI, and what the operator says that the TPM is. */
  readonly enrolled: ReadonlyMap<string, EkKind>;
}

/** The paths that an operator names: docs/plugins/tpm.md. */
export interface EkTrustSettings {
  readonly ca_path?: string | undefined;
  readonly virtual_ca_path?: string | undefined;
  readonly hash_path?: string | undefined;
  readonly revoked_path?: string | undefined;
  readonly crl_path?: string | undefined;
  readonly virtual_manufacturers: readonly string[];
  readonly tolerate_missing_eku: boolean;
}

const PUB_HASH = /^[0-9a-f]{64}$/;

/** @throws SpiffeError `CONFIG_INVALID`, naming the setting, the file and the line */
export async function readEkTrustStore(config: EkTrustSettings): Promise<EkTrustStore> {
  const [hardwareCas, virtualCas, crls, revoked, enrolled] = await Promise.all([
    readCertificates('ca_path', config.ca_path),
    readCertificates('virtual_ca_path', config.virtual_ca_path),
    readCrls('crl_path', config.crl_path),
    readRevoked('revoked_path', config.revoked_path),
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

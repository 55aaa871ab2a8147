import { readCertificates, readCrls, readRevoked } from '../../tpm-trust/trust-files.ts';
import type { EkTrust } from '../../x509/ek-certificate.ts';
import type { DevidTrust } from './devid-certificate.ts';
import type { DevidServerConfig } from './server-config.ts';

/** All that the configured files say, read once. */
export type DevidTrustStore = EkTrust & DevidTrust;

/** @throws SpiffeError `CONFIG_INVALID`, naming the setting, the file and the line */
export async function readDevidTrustStore(config: DevidServerConfig): Promise<DevidTrustStore> {
  const [devidCas, hardwareCas, crls, revoked] = await Promise.all([
    readCertificates('devid_ca_path', config.devid_ca_path),
    readCertificates('endorsement_ca_path', config.endorsement_ca_path),
    readCrls('crl_path', config.crl_path),
    readRevoked('revoked_path', config.revoked_path),
  ]);
  return {
    devidCas,
    hardwareCas,
    virtualCas: [],
    virtualManufacturers: new Set(config.virtual_manufacturers.map((manufacturer) => manufacturer.toLowerCase())),
    tolerateMissingEku: config.tolerate_missing_eku,
    revocation: { ...revoked, crls },
  };
}

import { type EkTrustStore, readEkTrustStore } from '../tpm-trust/ek-trust-store.ts';
import { SOFTWARE_TPM_MANUFACTURERS } from '../tpm-trust/software-tpm-manufacturers.ts';
import { text, toggle } from './flag-kinds.ts';
import type { FlagValues } from './flags.ts';

/** Whose TPMs are trusted: the settings of the server's attestor `tpm`. */
export const ekTrustFlags = {
  caPath: text('CAs of makers of hardware TPMs: a file or a folder, PEM or DER', 'PATH'),
  virtualCaPath: text('The same for TPMs that are software', 'PATH'),
  hashPath: text('EK hashes that are enrolled: a file of lines, or a folder of names', 'PATH'),
  revokedPath: text('EK hashes, serial numbers and issuers that are revoked', 'PATH'),
  crlPath: text('CRLs: a file or a folder', 'PATH'),
  tolerateMissingEku: toggle('Take EK certificates without any extended key usage'),
};

/**
 * @returns undefined where no flag says whom to trust
 * @throws SpiffeError `CONFIG_INVALID`
 */
export async function readEkTrustFlags(flags: FlagValues<typeof ekTrustFlags>): Promise<EkTrustStore | undefined> {
  const { caPath, virtualCaPath, hashPath, revokedPath, crlPath, tolerateMissingEku } = flags;
  if (caPath === '' && virtualCaPath === '' && hashPath === '') return undefined;
  return await readEkTrustStore({
    ca_path: given(caPath),
    virtual_ca_path: given(virtualCaPath),
    hash_path: given(hashPath),
    revoked_path: given(revokedPath),
    crl_path: given(crlPath),
    virtual_manufacturers: SOFTWARE_TPM_MANUFACTURERS,
    tolerate_missing_eku: tolerateMissingEku,
  });
}

const given = (value: string) => (value === '' ? undefined : value);

import { durationMs, flag, optionalText, tpmManufacturer, z } from '../../plugin-sdk/index.ts';
import { SOFTWARE_TPM_MANUFACTURERS } from '../../tpm-trust/software-tpm-manufacturers.ts';

const path = z.string({ error: 'must be the path of PEM certificates' }).min(1, {
  error: 'must be the path of PEM certificates',
});

/** `plugin_data` of the server's `tpm_devid` node attestor: docs/plugins/tpm-devid.md. */
export const devidServerConfig = z.strictObject({
  devid_ca_path: path,
  endorsement_ca_path: path,
  revoked_path: optionalText,
  crl_path: optionalText,
  virtual_manufacturers: z.array(tpmManufacturer('id:474F4F47')).default([...SOFTWARE_TPM_MANUFACTURERS]),
  tolerate_missing_eku: flag,
  require_csr_binding: flag,
  challenge_timeout: durationMs.prefault('30s'),
});
export type DevidServerConfig = z.output<typeof devidServerConfig>;

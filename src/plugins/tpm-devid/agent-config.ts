import { choice, durationMs, optionalText, z } from '../../plugin-sdk/index.ts';

/** A TPM takes no longer authorization: Part 2, §10.4.2, with SHA-512. */
const MAX_PASSWORD_BYTES = 64;

const path = (what: string) =>
  z.string({ error: `must be the path of ${what}` }).min(1, { error: `must be the path of ${what}` });
const password = z
  .string()
  .default('')
  .refine((text) => Buffer.byteLength(text) <= MAX_PASSWORD_BYTES, {
    error: `has more than ${MAX_PASSWORD_BYTES} bytes, which no TPM takes`,
  });

/** `plugin_data` of the agent's `tpm_devid` node attestor: docs/plugins/tpm-devid.md. */
export const devidAgentConfig = z
  .strictObject({
    devid_cert_path: path('the DevID certificate, PEM'),
    devid_priv_path: path('the private blob of the DevID key'),
    devid_pub_path: path('the public blob of the DevID key'),
    devid_password: password,
    owner_hierarchy_password: password,
    endorsement_hierarchy_password: password,
    /** A character device, or the socket of a software TPM; looked for where neither it nor `tcti` is given. */
    tpm_device_path: optionalText,
    /** A TCTI string of tpm2-tss, for what is no path. */
    tcti: optionalText,
    ek_algorithm: choice(['rsa-2048', 'ec-p256', 'ec-p384', 'auto']).default('rsa-2048'),
    /** How long to wait for a TPM that serves somebody else. */
    lock_timeout: durationMs.prefault('10s'),
  })
  .refine(({ tpm_device_path, tcti }) => tpm_device_path === undefined || tcti === undefined, {
    error: 'has "tpm_device_path" and "tcti": give one of them',
  });
export type DevidAgentConfig = z.output<typeof devidAgentConfig>;

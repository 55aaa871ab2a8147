import { z } from 'zod';
import { durationMs, optionalText } from '../../config/fields.ts';

/** `plugin_data` of the key manager `tpm`, the same on both sides: docs/plugins/tpm-keys.md. */
export const tpmKeysConfig = z.strictObject({
  /** A folder of the key manager's own. */
  keys_path: z
    .string({ error: 'must be the path of a folder for the keys that the TPM wraps' })
    .min(1, { error: 'must be the path of a folder for the keys that the TPM wraps' }),
  /** A TCTI string of tpm2-tss: a name, and what that one wants. */
  tcti: optionalText.transform((text) => text ?? 'device:/dev/tpmrm0'),
  /** A file whose bytes, without a line end, authorize the owner hierarchy. */
  owner_auth_path: optionalText,
  /** How long to wait for a TPM that serves somebody else. */
  lock_timeout: durationMs.prefault('10s'),
});
export type TpmKeysConfig = z.output<typeof tpmKeysConfig>;

import { z } from 'zod';
import { choice, durationMs, optionalText } from '../../config/fields.ts';

/** Configuration of the attestor's half that runs beside the TPM. */
export const tpmAgentConfig = z.strictObject({
  /** A TCTI string of tpm2-tss: a name, and what that one wants. */
  tcti: optionalText.transform((text) => text ?? 'device:/dev/tpmrm0'),
  /** `auto` takes the first endorsement key that has a certificate. */
  ek_algorithm: choice(['auto', 'rsa-2048', 'ec-p256', 'ec-p384']).default('auto'),
  ak_algorithm: choice(['ec-p256', 'rsa-2048']).default('ec-p256'),
  /** A file whose bytes, without a line end, authorize the endorsement hierarchy. */
  endorsement_auth_path: optionalText,
  /** How long to wait for a TPM that serves somebody else. */
  lock_timeout: durationMs.prefault('10s'),
});
export type TpmAgentConfig = z.output<typeof tpmAgentConfig>;

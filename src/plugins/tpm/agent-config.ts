import { z } from 'zod';
import { choice, durationMs, optionalText } from '../../config/fields.ts';
import { DEFAULT_LOG_PATHS } from './log-paths.ts';

/** Configuration of the attestor's half that runs beside the TPM. */
export const tpmAgentConfig = z.strictObject({
  /** A TCTI string of tpm2-tss: a name, and what that one wants. */
  tcti: optionalText.transform((text) => text ?? 'device:/dev/tpmrm0'),
  /** `auto` takes the first endorsement key that has a certificate. */
  ek_algorithm: choice(['auto', 'rsa-2048', 'ec-p256', 'ec-p384']).default('auto'),
  ak_algorithm: choice(['ec-p256', 'rsa-2048']).default('ec-p256'),
  /** A file whose bytes, without a line end, authorize the endorsement hierarchy. */
  endorsement_auth_path: optionalText,
  /** What firmware and boot loader measured, as the kernel kept it. */
  event_log_path: optionalText.transform((path) => path ?? DEFAULT_LOG_PATHS.event),
  /** What the kernel's IMA measured. */
  ima_log_path: optionalText.transform((path) => path ?? DEFAULT_LOG_PATHS.ima),
  /** What the kernel was started with: a hint, believed where a digest of it was measured. */
  command_line_path: optionalText.transform((path) => path ?? DEFAULT_LOG_PATHS['command line']),
  /** The folder of the key manager `tpm`: the key that is to be certified has to be one of its keys. */
  keys_path: optionalText,
  /** A file whose bytes, without a line end, authorize the owner hierarchy. */
  owner_auth_path: optionalText,
  /** How long to wait for a TPM that serves somebody else. */
  lock_timeout: durationMs.prefault('10s'),
});
export type TpmAgentConfig = z.output<typeof tpmAgentConfig>;

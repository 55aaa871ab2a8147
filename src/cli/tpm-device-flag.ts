import { text } from './flag-kinds.ts';
import type { Terminal } from './terminal.ts';

/** Names the TPM where no flag does. */
export const DEVICE_VARIABLE = 'ASSAYER_TPM_DEVICE';
/** The TPM of this machine, by way of the kernel's resource manager. */
const DEFAULT_DEVICE = 'device:/dev/tpmrm0';

export const deviceFlag = text(
  `TPM, as tpm2-tss names it (TCTI): $${DEVICE_VARIABLE} or ${DEFAULT_DEVICE} by default`,
  'TCTI',
);

/** @param given what the flag has, empty where it was not given */
export function deviceOf(given: string, { env }: Terminal): string {
  if (given !== '') return given;
  const named = env[DEVICE_VARIABLE];
  return named === undefined || named === '' ? DEFAULT_DEVICE : named;
}

/** Whether the logs of this kernel are about that TPM. */
export function isOfThisMachine(device: string): boolean {
  return /^(?:device|tabrmd)(?::|$)/.test(device);
}

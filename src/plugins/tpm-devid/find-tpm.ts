import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SpiffeError } from '../../spiffe/error.ts';

/** What the kernel calls TPMs, those behind its resource manager first. */
const DEVICE_NAMES = [/^tpmrm\d+$/, /^tpm\d+$/];

/**
 * The TCTI of the configured TPM, or of the only one that the machine has.
 *
 * @param folder where device files are
 * @throws SpiffeError `CONFIG_INVALID` where there is none, or more than one
 */
export function findTcti(
  settings: { tpm_device_path?: string | undefined; tcti?: string | undefined },
  folder = '/dev',
): string {
  if (settings.tcti !== undefined) return settings.tcti;
  const path = settings.tpm_device_path ?? findDevice(folder);
  const isSocket = statSync(path, { throwIfNoEntry: false })?.isSocket() === true;
  return `${isSocket ? 'swtpm:path=' : 'device:'}${path}`;
}

function findDevice(folder: string): string {
  const names = namesIn(folder);
  for (const pattern of DEVICE_NAMES) {
    const [found, ...others] = names.filter((name) => pattern.test(name)).toSorted();
    if (others.length > 0) {
      throw new SpiffeError(
        'CONFIG_INVALID',
        `there is more than one TPM, ${[found, ...others].join(' and ')} in ${folder}: choose one with "tpm_device_path"`,
      );
    }
    if (found !== undefined) return join(folder, found);
  }
  throw new SpiffeError(
    'CONFIG_INVALID',
    `there is no TPM in ${folder}: load the driver, switch the TPM on in the firmware, or set "tpm_device_path"`,
  );
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

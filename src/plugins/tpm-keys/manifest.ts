import { resolve } from 'node:path';
import { findSettings } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { wayToTpm } from '../../tpm-device/way-to-tpm.ts';

/** The way to the TPM, and the folder of the key file, which is replaced whole at every change. */
export function tpmKeysManifest(data: string): SandboxManifest | undefined {
  const settings = findSettings(data, ['tcti', 'keys_path', 'owner_auth_path']);
  const way = wayToTpm(settings.get('tcti'));
  if (way === undefined) return undefined;
  const folder = settings.get('keys_path');
  const secret = settings.get('owner_auth_path');
  return {
    ...way,
    readable: [...(secret === undefined ? [] : [resolve(secret)]), ...way.readable],
    writable: [...(folder === undefined ? [] : [resolve(folder)]), ...way.writable],
  };
}

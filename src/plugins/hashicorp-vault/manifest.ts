import { dirname, resolve } from 'node:path';
import { findSettings } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { vaultManifest } from '../vault-client/manifest.ts';

/** What every client of a Vault needs, and the folder of the file that tells which keys are this server's. */
export function hashicorpVaultManifest(data: string): SandboxManifest {
  const file = findSettings(data, ['key_identifier_file']).get('key_identifier_file');
  return { ...vaultManifest(data), writable: file === undefined ? [] : [dirname(resolve(file))] };
}

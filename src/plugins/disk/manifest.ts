import { dirname, resolve } from 'node:path';
import { findSettings } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';

/** The folder of the key file, which is replaced whole at every change, and nothing else. */
export function diskManifest(data: string): SandboxManifest {
  const settings = findSettings(data, ['keys_path', 'directory']);
  const file = settings.get('keys_path');
  const folder = settings.get('directory') ?? (file && dirname(file));
  return { user: 'own', network: 'none', writable: folder ? [resolve(folder)] : [] };
}

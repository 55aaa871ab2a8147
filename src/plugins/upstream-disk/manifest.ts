import { dirname, resolve } from 'node:path';
import { findSettings } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';

/**
 * The folders of its files, to read: a file that is put in the place of another is seen by way of its folder. The key is
 * nobody's to read but the host's, at the latest after it was replaced.
 */
export function upstreamDiskManifest(data: string): SandboxManifest {
  const settings = findSettings(data, ['cert_file_path', 'key_file_path', 'bundle_file_path']);
  const folders = [...settings.values()].map((path) => dirname(resolve(path)));
  return { user: 'own', network: 'none', readable: [...new Set(folders)], capabilities: ['DAC_READ_SEARCH'] };
}

import { dirname, resolve } from 'node:path';
import { findSettings } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { DEFAULT_PATHS } from './agent-config.ts';

/** The half that verifies reads its authorities. */
export function sshServerManifest(data: string): SandboxManifest {
  const readable = [...findSettings(data, ['cert_authorities_path']).values()].map((path) => resolve(path));
  return { user: 'own', network: 'none', readable };
}

/** The folders of the host key, which is root's, and of its certificate, which is replaced when it is renewed. */
export function sshAgentManifest(data: string): SandboxManifest {
  const settings = findSettings(data, ['host_key_path', 'host_cert_path']);
  const paths = [
    settings.get('host_key_path') ?? DEFAULT_PATHS.key,
    settings.get('host_cert_path') ?? DEFAULT_PATHS.certificate,
  ];
  const readable = [...new Set(paths.map((path) => dirname(resolve(path))))];
  return { user: 'own', network: 'none', readable, capabilities: ['DAC_READ_SEARCH'] };
}

import { resolve } from 'node:path';
import { findSettings } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';

/** The half that verifies reads its lists; it needs no TPM. */
export function devidServerManifest(data: string): SandboxManifest {
  const names = ['devid_ca_path', 'endorsement_ca_path', 'revoked_path', 'crl_path'] as const;
  const readable = [...findSettings(data, names).values()].map((path) => resolve(path));
  return { user: 'own', network: 'none', readable };
}

import { resolve } from 'node:path';
import { findSettings } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { wayToTpm } from '../../tpm-device/way-to-tpm.ts';

/** The half that verifies reads its lists; it needs no TPM. */
export function tpmServerManifest(data: string): SandboxManifest {
  const names = ['ca_path', 'virtual_ca_path', 'hash_path', 'revoked_path', 'crl_path'] as const;
  const readable = [...findSettings(data, names).values()].map((path) => resolve(path));
  return { user: 'own', network: 'none', readable };
}

/** The half beside the TPM: the way to it that its TCTI names. Undefined for a TCTI of which nothing is known. */
export function tpmAgentManifest(data: string): SandboxManifest | undefined {
  const settings = findSettings(data, ['tcti', 'endorsement_auth_path', 'owner_auth_path', 'keys_path']);
  const way = wayToTpm(settings.get('tcti'));
  if (way === undefined) return undefined;
  const names = ['endorsement_auth_path', 'owner_auth_path', 'keys_path'] as const;
  const files = names.flatMap((name) => settings.get(name) ?? []).map((path) => resolve(path));
  return { ...way, readable: [...files, ...way.readable] };
}

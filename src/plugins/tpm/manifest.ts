import { resolve } from 'node:path';
import { findSettings } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { wayToTpm } from '../../tpm-device/way-to-tpm.ts';
import { bootLogs } from './log-codec.ts';
import { DEFAULT_LOG_PATHS, LOG_PATH_KEYS } from './log-paths.ts';

/** The half that verifies reads its lists, and writes what it remembers; it needs no TPM. */
export function tpmServerManifest(data: string): SandboxManifest {
  const names = [
    ...(['ca_path', 'virtual_ca_path', 'hash_path', 'revoked_path', 'crl_path'] as const),
    ...(['policy_path', 'policy_public_key_path'] as const),
  ];
  const settings = findSettings(data, names);
  const policyPath = settings.get('policy_path');
  const signatures = policyPath === undefined ? [] : [`${policyPath}.sig`];
  const readable = [...settings.values(), ...signatures].map((path) => resolve(path));
  const writable = [...findSettings(data, ['state_path']).values()].map((path) => resolve(path));
  return { user: 'own', network: 'none', readable, writable };
}

/** The half beside the TPM: the way to it that its TCTI names. Undefined for a TCTI of which nothing is known. */
export function tpmAgentManifest(data: string): SandboxManifest | undefined {
  const names = ['endorsement_auth_path', 'owner_auth_path', 'keys_path'] as const;
  const settings = findSettings(data, ['tcti', ...names, ...Object.values(LOG_PATH_KEYS)]);
  const way = wayToTpm(settings.get('tcti'));
  if (way === undefined) return undefined;
  const files = names.flatMap((name) => settings.get(name) ?? []);
  const logs = [...bootLogs()]
    .map((log) => settings.get(LOG_PATH_KEYS[log]) ?? DEFAULT_LOG_PATHS[log])
    .filter((path) => !path.startsWith('/proc/')); // which every plugin sees
  const keys = settings.get('keys_path');
  return {
    ...way,
    readable: [...[...files, ...logs].map((path) => resolve(path)), ...way.readable],
    filledByOthers: keys === undefined ? [] : [resolve(keys)], // by the key manager
  };
}

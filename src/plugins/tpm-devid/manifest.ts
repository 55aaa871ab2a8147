import { resolve } from 'node:path';
import { findSettings } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { isSpiffeError } from '../../spiffe/error.ts';
import { wayToTpm } from '../../tpm-device/way-to-tpm.ts';
import { findTcti } from './find-tpm.ts';

/** The half that verifies reads its lists; it needs no TPM. */
export function devidServerManifest(data: string): SandboxManifest {
  const names = ['devid_ca_path', 'endorsement_ca_path', 'revoked_path', 'crl_path'] as const;
  const readable = [...findSettings(data, names).values()].map((path) => resolve(path));
  return { user: 'own', network: 'none', readable };
}

/** The half beside the TPM: its three files, and the way to the TPM. Undefined for a TPM of which nothing is known. */
export function devidAgentManifest(data: string): SandboxManifest | undefined {
  const files = findSettings(data, ['devid_cert_path', 'devid_priv_path', 'devid_pub_path']);
  const settings = findSettings(data, ['tpm_device_path', 'tcti']);
  const way = findWay({ tpm_device_path: settings.get('tpm_device_path'), tcti: settings.get('tcti') });
  const readable = [...files.values()].map((path) => resolve(path));
  return way && { ...way, readable: [...way.readable, ...readable] };
}

/** Where there is no TPM the plugin says so itself. */
function findWay(settings: Parameters<typeof findTcti>[0]): ReturnType<typeof wayToTpm> {
  try {
    return wayToTpm(findTcti(settings));
  } catch (error) {
    if (isSpiffeError(error, 'CONFIG_INVALID')) return wayToTpm();
    throw error;
  }
}

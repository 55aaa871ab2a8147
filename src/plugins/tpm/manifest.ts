import { dirname, resolve } from 'node:path';
import { findSettings } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { lockFolder } from '../../tpm-device/lock-folder.ts';

/** The half that verifies reads its lists; it needs no TPM. */
export function tpmServerManifest(data: string): SandboxManifest {
  const names = ['ca_path', 'virtual_ca_path', 'hash_path', 'revoked_path', 'crl_path'] as const;
  const readable = [...findSettings(data, names).values()].map((path) => resolve(path));
  return { user: 'own', network: 'none', readable };
}

/** The half beside the TPM: the way to it that its TCTI names. Undefined for a TCTI of which nothing is known. */
export function tpmAgentManifest(data: string): SandboxManifest | undefined {
  const settings = findSettings(data, ['tcti', 'endorsement_auth_path']);
  const secret = settings.get('endorsement_auth_path');
  const readable = secret === undefined ? [] : [resolve(secret)];
  const [, name = '', argument = ''] = /^([^:]*):?(.*)$/.exec(settings.get('tcti') ?? 'device:/dev/tpmrm0') ?? [];
  if (name === 'device') {
    return { user: 'own', network: 'none', devices: [argument === '' ? '/dev/tpm0' : argument], readable };
  }
  if (name === 'tabrmd') {
    const writable = [lockFolder(process.getuid?.() ?? 0)];
    return { user: 'host', network: 'unix', readable: [...readable, '/run/dbus', '/var/run/dbus'], writable };
  }
  if (name !== 'swtpm' && name !== 'mssim') return undefined;
  // Software TPMs listen on TCP, or on a socket that their user alone may connect to and that is made anew at every start.
  const path = /(?:^|,)path=([^,]+)/.exec(argument)?.[1];
  const shared = { user: 'host', writable: [lockFolder(process.getuid?.() ?? 0)] } as const; // the lock is for all of a user
  if (path === undefined) return { ...shared, network: 'all', readable };
  return { ...shared, network: 'none', readable: [...readable, dirname(resolve(path))] };
}

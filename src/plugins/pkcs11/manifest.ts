import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { findSettings, readLoosely } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { lockFolder } from '../../tpm-device/lock-folder.ts';
import { wayToTpm } from '../../tpm-device/way-to-tpm.ts';
import { DEFAULT_SESSIONS, MAX_SESSIONS } from './config.ts';

const SOFTHSM_CONF = '/etc/softhsm/softhsm2.conf';
const TPM2_STORE = '/etc/tpm2_pkcs11';
const TPM2_VARIABLES = [
  ...['TPM2_PKCS11_STORE', 'TPM2_PKCS11_TCTI', 'TPM2_PKCS11_LOG_LEVEL', 'TPM2_PKCS11_BACKEND'],
  ...['TPM2_PKCS11_OWNER_AUTH', 'TPM2_PKCS11_PRIMARY_PRE_COMMAND', 'TSS2_LOG'],
];

/** As every built-in plugin, and of each thread that waits for the module. */
const MEMORY_BYTES = 1024 ** 3;
const SESSION_BYTES = 64 * 1024 ** 2;

/**
 * The module, its token, and the PIN. What SoftHSM and tpm2-pkcs11 need is known; any other module may need devices, sockets and
 * services, so that its plugin has the rights of one of which nothing is known, until its block `sandbox` says what it needs.
 */
export function pkcs11Manifest(data: string): SandboxManifest | undefined {
  const settings = findSettings(data, ['module_path', 'pin_path', 'pin_env', 'key_identifier_file']);
  const module = settings.get('module_path');
  const way = module === undefined ? undefined : wayToToken(basename(module));
  if (module === undefined || way === undefined) return undefined;
  const pin = settings.get('pin_path');
  const pinVariable = settings.get('pin_env');
  const identifier = settings.get('key_identifier_file');
  return {
    ...way,
    // The folder of the module, which may bring other libraries; of the PIN that file alone.
    readable: [dirname(resolve(module)), ...(pin === undefined ? [] : [resolve(pin)]), ...way.readable],
    writable: [
      lockFolder(process.getuid?.() ?? 0),
      ...(identifier === undefined ? [] : [dirname(resolve(identifier))]),
      ...way.writable,
    ],
    memoryBytes: MEMORY_BYTES + SESSION_BYTES * sessionsOf(data),
    variables: [...way.variables, ...(pinVariable === undefined ? [] : [pinVariable])],
  };
}

/** As many as it is told to have at most. */
function sessionsOf(data: string): number {
  const { max_sessions: sessions } = readLoosely(data);
  return typeof sessions === 'number' && sessions > 0 && sessions <= MAX_SESSIONS ? sessions : DEFAULT_SESSIONS;
}

/** What a module needs; its token belongs to the host's user, who may share it with others. */
interface WayToToken {
  readonly user: 'host';
  readonly network: SandboxManifest['network'];
  readonly readable: readonly string[];
  readonly writable: readonly string[];
  readonly devices?: readonly string[];
  readonly variables: readonly string[];
}

function wayToToken(module: string): WayToToken | undefined {
  if (/^libsofthsm/.test(module)) return wayToSoftHsm(process.env.SOFTHSM2_CONF ?? SOFTHSM_CONF);
  if (/^libtpm2_pkcs11/.test(module)) return wayToTpmToken(process.env);
  return undefined;
}

/** Its configuration names the folder of its tokens. */
function wayToSoftHsm(configuration: string): WayToToken {
  const folder = /^\s*directories\.tokendir\s*=\s*(\S.*?)\s*$/m.exec(readText(configuration))?.[1];
  return {
    ...{ user: 'host', network: 'none' },
    readable: [resolve(configuration)],
    writable: folder === undefined ? [] : [resolve(folder)],
    variables: ['SOFTHSM2_CONF'],
  };
}

/** Its store is a folder with a database; its TPM is named as tpm2-tss names it. */
function wayToTpmToken(environment: Readonly<Record<string, string | undefined>>): WayToToken | undefined {
  const way = wayToTpm(environment.TPM2_PKCS11_TCTI);
  if (way === undefined) return undefined;
  const store = environment.TPM2_PKCS11_STORE ?? TPM2_STORE;
  return { ...way, user: 'host', writable: [resolve(store), ...way.writable], variables: TPM2_VARIABLES };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // the module says what it misses
  }
}

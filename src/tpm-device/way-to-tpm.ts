import { dirname, resolve } from 'node:path';
import { lockFolder } from './lock-folder.ts';

/** What a confined process needs to reach a TPM. */
export interface WayToTpm {
  readonly user: 'own' | 'host';
  readonly network: 'none' | 'unix' | 'all';
  readonly devices?: readonly string[];
  readonly readable: readonly string[];
  readonly writable: readonly string[];
}

/**
 * The way that a TCTI names; undefined for one of which nothing is known.
 *
 * @param tcti as configured; the kernel's resource manager by default
 */
export function wayToTpm(tcti = 'device:/dev/tpmrm0'): WayToTpm | undefined {
  const [, name = '', argument = ''] = /^([^:]*):?(.*)$/.exec(tcti) ?? [];
  const lock = lockFolder(process.getuid?.() ?? 0); // for all of a user
  if (name === 'device') {
    const devices = [argument === '' ? '/dev/tpm0' : argument];
    const isShared = /^\/dev\/tpmrm\d+$/.test(argument); // by the kernel; without it, plugins have to wait for one another
    if (isShared) return { user: 'own', network: 'none', devices, readable: [], writable: [] };
    return { user: 'host', network: 'none', devices, readable: [], writable: [lock] };
  }
  if (name === 'tabrmd') {
    return { user: 'host', network: 'unix', readable: ['/run/dbus', '/var/run/dbus'], writable: [lock] };
  }
  if (name !== 'swtpm' && name !== 'mssim') return undefined;
  // Software TPMs listen on TCP, or on a socket that their user alone may connect to and that is made anew at every start.
  const path = /(?:^|,)path=([^,]+)/.exec(argument)?.[1];
  if (path === undefined) return { user: 'host', network: 'all', readable: [], writable: [lock] };
  return { user: 'host', network: 'none', readable: [dirname(resolve(path))], writable: [lock] };
}

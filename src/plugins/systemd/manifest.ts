import { dirname } from 'node:path';
import { readLoosely } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { DEFAULT_DBUS_SOCKET_PATH } from './config.ts';

/**
 * One socket, in a folder that is there when the bus is started again. The host's user: dbus-daemon takes no user who is
 * not in /etc/passwd, as a plugin's own is not.
 */
export function systemdManifest(data: string): SandboxManifest {
  const { dbus_socket_path: given } = readLoosely(data);
  const path = typeof given === 'string' && given !== '' ? given : DEFAULT_DBUS_SOCKET_PATH;
  return { user: 'host', network: 'unix', readable: [dirname(path)] };
}

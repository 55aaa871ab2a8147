import { dirname } from 'node:path';
import { findSettings } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';

/** The agent's socket, by way of its folder: it is made anew at every start. The host's user, by whom entries know the server. */
export function upstreamSpireManifest(data: string): SandboxManifest {
  const socket = findSettings(data, ['workload_api_socket']).get('workload_api_socket');
  const path = socket?.replace(/^unix:(\/\/)?(?=\/)/, '');
  return { user: 'host', network: 'all', readable: path?.startsWith('/') ? [dirname(path)] : [] };
}

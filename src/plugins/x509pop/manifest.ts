import { dirname, resolve } from 'node:path';
import { findSettings, readLoosely } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';

/** The half that verifies reads the CAs that it trusts. */
export function popServerManifest(data: string): SandboxManifest {
  const { ca_bundle_path: one, ca_bundle_paths: several } = readLoosely(data);
  const paths = [one, ...(Array.isArray(several) ? several : [])].filter((path) => typeof path === 'string');
  return { user: 'own', network: 'none', readable: paths.filter((path) => path !== '').map((path) => resolve(path)) };
}

/**
 * The folders of its files: what renews the certificate puts another file in the place of the old one. With a Workload API
 * the socket's folder, and the host's user, by whom entries know the agent.
 */
export function popAgentManifest(data: string): SandboxManifest {
  const socket = findSettings(data, ['spiffe_endpoint_socket']).get('spiffe_endpoint_socket');
  if (socket !== undefined) {
    const path = socket.replace(/^unix:(\/\/)?(?=\/)/, '');
    return { user: 'host', network: 'unix', readable: path.startsWith('/') ? [dirname(path)] : [] };
  }
  const files = findSettings(data, ['private_key_path', 'certificate_path', 'intermediates_path']);
  const folders = new Set([...files.values()].map((path) => dirname(resolve(path))));
  return { user: 'own', network: 'none', readable: [...folders], capabilities: ['DAC_READ_SEARCH'] };
}

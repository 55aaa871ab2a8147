import { dirname, resolve } from 'node:path';
import { findSettings, readLoosely } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { VAULT_VARIABLES } from './config.ts';

/** The network, the variables that a Vault's clients know, and the folders of the files that show who the plugin is. */
export function vaultManifest(data: string): SandboxManifest {
  const settings = readLoosely(data);
  const blockOf = (name: string): Readonly<Record<string, unknown>> => {
    const value = settings[name];
    return typeof value === 'object' && value !== null ? { ...value } : {};
  };
  const { client_cert_path: certificate, client_key_path: key } = blockOf('cert_auth');
  const paths = [
    findSettings(data, ['ca_cert_path']).get('ca_cert_path') ?? process.env.VAULT_CACERT,
    certificate ?? process.env.VAULT_CLIENT_CERT,
    key ?? process.env.VAULT_CLIENT_KEY,
    blockOf('k8s_auth').token_path,
  ];
  const folders = paths.flatMap((path) => (typeof path === 'string' && path !== '' ? [dirname(resolve(path))] : []));
  return {
    user: 'own',
    network: 'all',
    readable: [...new Set(folders)],
    capabilities: ['DAC_READ_SEARCH'],
    variables: [...VAULT_VARIABLES],
  };
}

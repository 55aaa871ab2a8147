import { dirname, resolve } from 'node:path';
import { readLoosely } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';

/** Where Azure's own libraries find who they are. */
const VARIABLES = ['AZURE_CLIENT_ID', 'AZURE_CLIENT_SECRET', 'AZURE_FEDERATED_TOKEN_FILE'];

/** The half in the virtual machine asks its metadata service. */
export function azureAgentManifest(): SandboxManifest {
  return { user: 'own', network: 'all' };
}

/** The half that verifies asks Azure; files by their folders, as they may be replaced, and whoever may read them. */
export function azureServerManifest(data: string): SandboxManifest {
  const { trust_bundle_path: roots, tenants } = readLoosely(data);
  const tokens = isObject(tenants)
    ? Object.values(tenants).map((tenant) =>
        isObject(tenant) && isObject(tenant.token_auth) ? tenant.token_auth.token_path : undefined,
      )
    : [];
  const files = [roots, ...tokens, process.env.AZURE_FEDERATED_TOKEN_FILE];
  const folders = files.flatMap((path) => (typeof path === 'string' && path !== '' ? [dirname(resolve(path))] : []));
  return {
    user: 'own',
    network: 'all',
    variables: VARIABLES,
    readable: [...new Set(folders)],
    capabilities: ['DAC_READ_SEARCH'],
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import { dirname, resolve } from 'node:path';
import { findSettings } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { CREDENTIALS_VARIABLE } from './credentials-variable.ts';

/** The half in the virtual machine asks its metadata server. */
export function gcpAgentManifest(): SandboxManifest {
  return { user: 'own', network: 'all' };
}

/** The half that verifies asks Google, with the file of a service account where there is one: by its folder, as it may be replaced, and whoever may read it. */
export function gcpServerManifest(data: string): SandboxManifest {
  const settings = findSettings(data, ['service_account_file']);
  const file = settings.get('service_account_file') ?? process.env[CREDENTIALS_VARIABLE] ?? '';
  return {
    user: 'own',
    network: 'all',
    variables: [CREDENTIALS_VARIABLE],
    ...(file === '' ? {} : { readable: [dirname(resolve(file))], capabilities: ['DAC_READ_SEARCH'] }),
  };
}

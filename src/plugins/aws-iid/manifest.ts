import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { findSettings, readLoosely } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';

/** Where AWS' SDK looks for credentials, and for where its interfaces are. Source: AWS SDKs and Tools Reference Guide. */
const VARIABLES = [
  ...['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_PROFILE', 'AWS_CONFIG_FILE', 'HOME'],
  ...['AWS_SHARED_CREDENTIALS_FILE', 'AWS_ROLE_ARN', 'AWS_ROLE_SESSION_NAME', 'AWS_WEB_IDENTITY_TOKEN_FILE'],
  ...['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI', 'AWS_CONTAINER_CREDENTIALS_FULL_URI', 'AWS_EC2_METADATA_DISABLED'],
  ...['AWS_CONTAINER_AUTHORIZATION_TOKEN', 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE', 'AWS_ENDPOINT_URL'],
  ...['AWS_USE_FIPS_ENDPOINT', 'AWS_USE_DUALSTACK_ENDPOINT', 'AWS_EC2_METADATA_SERVICE_ENDPOINT'],
];
const FILE_VARIABLES = [
  ...['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE', 'AWS_WEB_IDENTITY_TOKEN_FILE'],
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
];

/** The half in the instance asks its metadata service. */
export function awsAgentManifest(): SandboxManifest {
  return { user: 'own', network: 'all' };
}

/** The half that verifies asks AWS; files by their folders, as they may be replaced, and whoever may read them. */
export function awsServerManifest(data: string): SandboxManifest {
  const settings = readLoosely(data);
  const { region_certificates: certificates, verify_organization: organization } = settings;
  const list = isObject(organization) ? organization.account_list_file : undefined;
  const hasKeys = findSettings(data, ['access_key_id']).has('access_key_id');
  const shared = hasKeys
    ? []
    : [join(homedir(), '.aws', 'credentials'), ...FILE_VARIABLES.map((name) => process.env[name])];
  const files = [...(isObject(certificates) ? Object.values(certificates) : []), list, ...shared];
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

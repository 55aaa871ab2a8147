import { CREDENTIALS_VARIABLE } from './credentials-variable.ts';
import { GoogleCredentials, readServiceAccount } from './google-credentials.ts';
import { GoogleKeys } from './google-keys.ts';
import type { GcpServerConfig } from './server-config.ts';

/** What the server half knows: a value that a new configuration replaces. */
export interface GcpAttestorState {
  readonly config: GcpServerConfig;
  readonly keys: GoogleKeys;
  /** Undefined: instances are not asked for. */
  readonly credentials: GoogleCredentials | undefined;
}

/** @throws SpiffeError `CONFIG_INVALID` */
export async function readState(config: GcpServerConfig): Promise<GcpAttestorState> {
  const keys = new GoogleKeys(config.certificates_url);
  return { config, keys, credentials: config.use_instance_metadata ? await findCredentials(config) : undefined };
}

async function findCredentials(config: GcpServerConfig): Promise<GoogleCredentials> {
  const { service_account_file: configured } = config;
  const file = configured ?? process.env[CREDENTIALS_VARIABLE];
  if (file === undefined || file === '') return new GoogleCredentials({ metadataHost: config.metadata_host });
  const setting = configured === undefined ? CREDENTIALS_VARIABLE : 'service_account_file';
  await readServiceAccount(file, setting);
  return new GoogleCredentials({ file, setting });
}

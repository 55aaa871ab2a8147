import {
  type Certificate,
  decodePem,
  isSpiffeError,
  parseCertificate,
  readCapped,
  SpiffeError,
} from '../../plugin-sdk/index.ts';
import { LastingValue } from '../cloud/lasting-value.ts';
import { fetchAccessToken } from './azure-credentials.ts';
import { IssuerSource } from './find-issuer.ts';
import { ManagementApi } from './management-api.ts';
import { ROOT_CERTIFICATES } from './root-certificates.ts';
import type { AzureServerConfig, TenantConfig } from './server-config.ts';
import { fetchTenantId } from './tenant-id.ts';

export interface Tenant {
  readonly config: TenantConfig;
  /** As Microsoft's login service has it. */
  id(): Promise<string>;
  readonly api: ManagementApi;
}

/** What the server half knows: a value that a new configuration replaces. */
export interface AzureAttestorState {
  readonly config: AzureServerConfig;
  readonly roots: readonly Certificate[];
  readonly issuers: IssuerSource;
  /** By domain. */
  readonly tenants: ReadonlyMap<string, Tenant>;
}

/** @throws SpiffeError `CONFIG_INVALID` */
export async function readState(config: AzureServerConfig): Promise<AzureAttestorState> {
  const tenants = Object.entries(config.tenants).map(
    ([domain, tenant]) => [domain, tenantOf(domain, tenant, config)] as const,
  );
  return {
    config,
    roots: await readRoots(config.trust_bundle_path),
    issuers: new IssuerSource(config.ca_issuer_hosts),
    tenants: new Map(tenants),
  };
}

function tenantOf(domain: string, tenant: TenantConfig, config: AzureServerConfig): Tenant {
  const id = new LastingValue(async () => ({
    value: await fetchTenantId(domain, config.login_url),
    usableUntilMs: Number.POSITIVE_INFINITY,
  }));
  const token = new LastingValue(async () => await fetchAccessToken(await id.get(), tenant, config));
  return { config: tenant, id: () => id.get(), api: new ManagementApi(config.management_url, () => token.get()) };
}

/** The pinned ones, and those of a file. */
async function readRoots(path: string | undefined): Promise<readonly Certificate[]> {
  const pinned = [...ROOT_CERTIFICATES.values()].map((base64) =>
    parseCertificate(new Uint8Array(Buffer.from(base64, 'base64'))),
  );
  if (path === undefined) return pinned;
  const refuse = (what: string, cause?: unknown) =>
    new SpiffeError('CONFIG_INVALID', `trust_bundle_path: "${path}" ${what}`, { cause });
  const text = (await readCapped('trust_bundle_path', path)).toString('latin1');
  try {
    const added = decodePem(text, 'CERTIFICATE').map((der) => parseCertificate(der));
    if (added.length === 0) throw refuse('has no PEM certificate');
    if (!added.every(({ isCa }) => isCa)) throw refuse('has a certificate that is no authority’s');
    return [...pinned, ...added];
  } catch (cause) {
    if (!isSpiffeError(cause) || cause.code === 'CONFIG_INVALID') throw cause;
    throw refuse(`has a certificate that cannot be read: ${cause.message}`, cause);
  }
}

import { readCapped, requestFromWeb, SpiffeError, z } from '../../plugin-sdk/index.ts';
import { below } from '../cloud/api-url.ts';
import type { Fetched } from '../cloud/lasting-value.ts';
import { parseAnswer } from '../cloud/parse-answer.ts';
import type { AzureServerConfig, TenantConfig } from './server-config.ts';

const DEADLINE_MS = 10_000;
const MAX_BYTES = 64 * 1024;
/** So that no token ends on its way. */
const EARLY_SECONDS = 60;
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** The metadata service writes numbers as text. */
const seconds = z.union([
  z.int(),
  z
    .string()
    .regex(/^\d{1,9}$/)
    .transform(Number),
]);
const accessToken = z.object({ access_token: z.string().min(1).max(32_768), expires_in: seconds });

type Urls = Pick<AzureServerConfig, 'login_url' | 'management_url' | 'metadata_endpoint'>;

/** Who the server is to Azure. */
type Identity =
  | { readonly kind: 'secret'; readonly appId: string; readonly secret: string }
  | { readonly kind: 'assertion'; readonly appId: string; readonly path: string; readonly setting: string }
  | { readonly kind: 'managed'; readonly appId: string | undefined };

/**
 * An access token for Azure's management interface in a tenant: with what the tenant's configuration says, otherwise with
 * what the environment says, otherwise with the managed identity of the machine that this is.
 *
 * @throws SpiffeError that says what is in the way
 * @see Microsoft identity platform, "OAuth 2.0 client credentials flow"; Azure, "Managed identities for Azure resources"
 */
export async function fetchAccessToken(tenantId: string, tenant: TenantConfig, urls: Urls): Promise<Fetched<string>> {
  const identity = identityOf(tenant);
  if (identity.kind === 'managed') return await askMetadataService(identity.appId, urls);
  const proof: Readonly<Record<string, string>> =
    identity.kind === 'secret'
      ? { client_secret: identity.secret }
      : {
          client_assertion_type: ASSERTION_TYPE,
          client_assertion: (await readCapped(identity.setting, identity.path)).toString('latin1').trim(),
        };
  const form = new URLSearchParams({
    ...{ grant_type: 'client_credentials', client_id: identity.appId, ...proof },
    scope: `${origin(urls.management_url)}/.default`,
  });
  return await requestToken('Microsoft’s login service', {
    url: below(urls.login_url, `/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`),
    ...{ method: 'POST', body: form.toString(), headers: { 'Content-Type': 'application/x-www-form-urlencoded' } },
  });
}

function identityOf({ secret_auth: secretAuth, token_auth: tokenAuth }: TenantConfig): Identity {
  if (secretAuth !== undefined) return { kind: 'secret', appId: secretAuth.app_id, secret: secretAuth.app_secret };
  if (tokenAuth !== undefined) {
    return { kind: 'assertion', appId: tokenAuth.app_id, path: tokenAuth.token_path, setting: 'token_auth.token_path' };
  }
  const { AZURE_CLIENT_ID: appId = '', AZURE_CLIENT_SECRET: secret = '' } = process.env;
  const { AZURE_FEDERATED_TOKEN_FILE: path = '' } = process.env;
  if (appId !== '' && secret !== '') return { kind: 'secret', appId, secret };
  if (appId !== '' && path !== '') return { kind: 'assertion', appId, path, setting: 'AZURE_FEDERATED_TOKEN_FILE' };
  return { kind: 'managed', appId: appId === '' ? undefined : appId };
}

async function askMetadataService(appId: string | undefined, urls: Urls): Promise<Fetched<string>> {
  const query = new URLSearchParams({
    'api-version': '2018-02-01',
    resource: `${origin(urls.management_url)}/`,
    ...(appId === undefined ? {} : { client_id: appId }),
  });
  const url = new URL(`${below(urls.metadata_endpoint, '/metadata/identity/oauth2/token').href}?${query}`);
  return await requestToken('the metadata service', { url, headers: { Metadata: 'true' } });
}

async function requestToken(
  name: string,
  request: Pick<Parameters<typeof requestFromWeb>[0], 'url' | 'method' | 'body' | 'headers'>,
): Promise<Fetched<string>> {
  const signal = new AbortController().signal;
  const answer = await requestFromWeb({ name, signal, maxBytes: MAX_BYTES, deadlineMs: DEADLINE_MS, ...request });
  if (answer.status !== 200) {
    throw new SpiffeError('UNAVAILABLE', `${name} gave this server no access token, but status ${answer.status}`);
  }
  const { access_token: value, expires_in } = parseAnswer(answer.body, accessToken, name);
  return { value, usableUntilMs: Date.now() + (expires_in - EARLY_SECONDS) * 1000 };
}

const origin = (url: URL): string => url.href.replace(/\/$/, '');

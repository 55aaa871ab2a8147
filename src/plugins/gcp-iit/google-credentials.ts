import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { messageOf, readCapped, requestFromWeb, SpiffeError, z } from '../../plugin-sdk/index.ts';
import { apiUrl } from '../cloud/api-url.ts';
import { type Fetched, LastingValue } from '../cloud/lasting-value.ts';
import { parseAnswer } from '../cloud/parse-answer.ts';
import { DEFAULT_METADATA_HOST } from './agent-config.ts';

/** Google API scopes: reading is all that is done. */
const SCOPE = 'https://www.googleapis.com/auth/compute.readonly';
const DEADLINE_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;
const ASSERTION_SECONDS = 600;
/** So that no token ends on its way. */
const EARLY_SECONDS = 60;

const accountFile = z.object({
  type: z.string(),
  client_email: z.string().min(1),
  private_key: z.string().min(1),
  private_key_id: z.string().optional(),
  token_uri: apiUrl,
});

interface ServiceAccount {
  readonly email: string;
  readonly key: KeyObject;
  readonly keyId: string | undefined;
  readonly tokenUrl: URL;
}

const accessToken = z.object({ access_token: z.string().min(1).max(8192), expires_in: z.int().min(1) });

/** Where access tokens come from: a service account's file, or the metadata server of the machine that this is. */
export type CredentialSource =
  | { readonly file: string /** Where the path stands. */; readonly setting: string }
  | { readonly metadataHost: string | undefined };

/** Access tokens for Google's interfaces, each used until shortly before it ends. */
export class GoogleCredentials {
  readonly #token: LastingValue<string>;

  constructor(source: CredentialSource) {
    this.#token = new LastingValue(() =>
      'file' in source ? exchangeAssertion(source.file, source.setting) : askMetadataServer(source.metadataHost),
    );
  }

  /** @throws SpiffeError that says what is in the way */
  async accessToken(): Promise<string> {
    return await this.#token.get();
  }
}

/** @throws SpiffeError `CONFIG_INVALID` */
export async function readServiceAccount(path: string, setting: string): Promise<ServiceAccount> {
  const refuse = (what: string, cause?: unknown) =>
    new SpiffeError('CONFIG_INVALID', `${setting}: "${path}" ${what}`, { cause });
  let content: unknown;
  try {
    content = JSON.parse((await readCapped(setting, path)).toString('utf8'));
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    throw refuse('is no JSON: it must be the key of a service account, as Google hands it out', cause);
  }
  const parsed = accountFile.safeParse(content);
  if (!parsed.success) throw refuse(`has no good "${parsed.error.issues[0]?.path.join('.') ?? ''}"`);
  const { type, client_email: email, private_key: pem, private_key_id: keyId, token_uri: tokenUrl } = parsed.data;
  if (type !== 'service_account') throw refuse(`is of type "${type}", not the key of a service account`);
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== 'rsa') throw new Error('it is no RSA key');
    return { email, key, keyId, tokenUrl };
  } catch (cause) {
    throw refuse(`has no good "private_key": ${messageOf(cause)}`);
  }
}

/** @see RFC 7523 §2.1; Google Identity, "Using OAuth 2.0 for Server to Server Applications" */
async function exchangeAssertion(path: string, setting: string): Promise<Fetched<string>> {
  const { email, key, keyId, tokenUrl } = await readServiceAccount(path, setting);
  const issuedAt = Math.floor(Date.now() / 1000);
  const signed = [
    { alg: 'RS256', typ: 'JWT', ...(keyId === undefined ? {} : { kid: keyId }) },
    { iss: email, scope: SCOPE, aud: tokenUrl.href, iat: issuedAt, exp: issuedAt + ASSERTION_SECONDS },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const assertion = `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`;
  const body = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }).toString();
  return await requestToken('Google’s token endpoint', tokenUrl, {
    ...{ method: 'POST', body },
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
  });
}

/** @see Google Cloud, "Authenticate workloads to Google Cloud APIs using service accounts" */
async function askMetadataServer(host = DEFAULT_METADATA_HOST): Promise<Fetched<string>> {
  const url = new URL(`http://${host}/computeMetadata/v1/instance/service-accounts/default/token`);
  return await requestToken('the metadata server', url, { headers: { 'Metadata-Flavor': 'Google' } });
}

async function requestToken(
  name: string,
  url: URL,
  more: Pick<Parameters<typeof requestFromWeb>[0], 'method' | 'body' | 'headers'>,
): Promise<Fetched<string>> {
  const signal = new AbortController().signal;
  const answer = await requestFromWeb({
    name,
    url,
    signal,
    maxBytes: MAX_ANSWER_BYTES,
    deadlineMs: DEADLINE_MS,
    ...more,
  });
  if (answer.status !== 200) {
    throw new SpiffeError('UNAVAILABLE', `${name} gave no access token, but status ${answer.status}`);
  }
  const { access_token: value, expires_in: seconds } = parseAnswer(answer.body, accessToken, name);
  return { value, usableUntilMs: Date.now() + (seconds - EARLY_SECONDS) * 1000 };
}

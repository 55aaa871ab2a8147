import { RecentMap, SpiffeError } from '../../plugin-sdk/index.ts';
import { askAws } from './ask-aws.ts';
import { type AwsCredentials, type AwsKeys, AwsSession } from './aws-session.ts';
import type { AwsServerConfig } from './server-config.ts';

const MAX_SESSIONS = 256;
const ROLE_SESSION_NAME = 'assayer-server';
const DEADLINE_MS = 20_000;

/** Sessions by account and region; where roles are assumed, each with the account's own. */
export class AwsSessions {
  readonly #config: AwsServerConfig;
  readonly #sessions = new RecentMap<string, AwsSession>(MAX_SESSIONS);

  constructor(config: AwsServerConfig) {
    this.#config = config;
  }

  /** With the role `assume_role` of that account, where there is one to assume. */
  of(accountId: string, region: string): AwsSession {
    return this.#find(accountId, region, this.#config.assume_role);
  }

  /** With this role of that account. */
  withRole(accountId: string, region: string, role: string): AwsSession {
    return this.#find(accountId, region, role);
  }

  #find(accountId: string, region: string, role: string | undefined): AwsSession {
    const key = JSON.stringify(role === undefined ? [region] : [region, accountId, role]);
    const known = this.#sessions.get(key);
    if (known !== undefined) return known;
    const own = new AwsSession(region, this.#config.endpoint_url, keysIn(this.#config));
    const arn = `arn:${this.#config.partition}:iam::${accountId}:role/${role}`;
    const session =
      role === undefined ? own : new AwsSession(region, this.#config.endpoint_url, () => assumeRole(own, arn));
    this.#sessions.set(key, session);
    return session;
  }
}

function keysIn({ access_key_id: accessKeyId, secret_access_key: secretAccessKey }: AwsServerConfig): AwsCredentials {
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  return { accessKeyId, secretAccessKey };
}

/** The SDK keeps what it is given until shortly before it ends. */
async function assumeRole(session: AwsSession, arn: string): Promise<AwsKeys> {
  const { AssumeRoleCommand } = await import('@aws-sdk/client-sts');
  const client = await session.sts();
  const command = new AssumeRoleCommand({ RoleArn: arn, RoleSessionName: ROLE_SESSION_NAME });
  const { Credentials: keys } = await askAws(`STS for the role "${arn}"`, () =>
    client.send(command, { abortSignal: AbortSignal.timeout(DEADLINE_MS) }),
  );
  const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken } = keys ?? {};
  if (accessKeyId === undefined || secretAccessKey === undefined || sessionToken === undefined) {
    throw new SpiffeError('UNAVAILABLE', `STS gave no keys for the role "${arn}"`);
  }
  const expiration = keys?.Expiration;
  return { accessKeyId, secretAccessKey, sessionToken, ...(expiration === undefined ? {} : { expiration }) };
}

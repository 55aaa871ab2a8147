import { readCapped, SpiffeError, z } from '../../plugin-sdk/index.ts';
import { askAws } from './ask-aws.ts';
import type { AwsSessions } from './aws-sessions.ts';
import { MembershipList } from './membership-list.ts';
import type { OrganizationConfig } from './server-config.ts';

const DEADLINE_MS = 20_000;
const MAX_PAGES = 1_000;
const FILE_SETTING = 'verify_organization.account_list_file';

const accountList = z.array(z.string().regex(/^\d{12}$/));

/** The accounts whose nodes are admitted. @throws SpiffeError `CONFIG_INVALID` for a file that is none */
export async function readOrganization(config: OrganizationConfig, sessions: AwsSessions): Promise<MembershipList> {
  const { account_list_file: file, org_account_map_ttl: lifetimeMs } = config;
  if (file === undefined) return new MembershipList(() => listAccounts(config, sessions), lifetimeMs);
  await readAccounts(file);
  return new MembershipList(() => readAccounts(file), lifetimeMs);
}

/** A list in JSON; an empty one admits nobody. */
async function readAccounts(path: string): Promise<ReadonlySet<string>> {
  const content = (await readCapped(FILE_SETTING, path)).toString('utf8');
  const parsed = accountList.safeParse(parseJson(content));
  if (parsed.success) return new Set(parsed.data);
  const [issue] = parsed.error.issues;
  const where = issue?.path.length === 1 ? ` (its entry ${String(issue.path[0])} is none)` : '';
  throw new SpiffeError(
    'CONFIG_INVALID',
    `${FILE_SETTING}: "${path}" is no JSON list of accounts of 12 digits in quotes${where}`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @see AWS Organizations API, ListAccounts */
async function listAccounts(
  {
    management_account_id: account = '',
    management_account_region: region,
    assume_org_role: role = '',
  }: OrganizationConfig,
  sessions: AwsSessions,
): Promise<ReadonlySet<string>> {
  const { ListAccountsCommand } = await import('@aws-sdk/client-organizations');
  const client = await sessions.withRole(account, region, role).organizations();
  const abortSignal = AbortSignal.timeout(DEADLINE_MS);
  const active = new Set<string>();
  let nextToken: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const input = nextToken === undefined ? {} : { NextToken: nextToken };
    const { Accounts: accounts = [], NextToken: next } = await askAws('Organizations for its accounts', () =>
      client.send(new ListAccountsCommand(input), { abortSignal }),
    );
    for (const { Id: id, Status: status } of accounts) if (status === 'ACTIVE' && id !== undefined) active.add(id);
    if (next === undefined || next === '') return active;
    nextToken = next;
  }
  throw new SpiffeError('TOO_LARGE', `Organizations has more than ${MAX_PAGES} pages of accounts`);
}

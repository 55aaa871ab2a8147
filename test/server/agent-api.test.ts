import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatastore } from '../../src/datastore/datastore.ts';
import {
  AgentDefinition,
  type ListAgentsRequest_Filter as Filter,
} from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import {
  Agent,
  AgentMask,
  SelectorMatch_MatchBehavior as Match,
  PermissionDeniedDetails,
  PermissionDeniedDetails_Reason as Reason,
} from '../../src/gen/spire/api/types/types.ts';
import { RemoteError } from '../../src/rpc/status.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { Status } from '../../src/spiffe/status.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { type AgentCaller, apiId, attestByJoinToken, newCsr, newJoinToken, renew, TlsCaller } from './callers.ts';

const resources = new AsyncDisposableStack();
let server: TestServer;
const HOUR_MS = 3_600_000;
let clockOffsetMs = 0;
const wrong = Status.InvalidArgument;
const admin = () => server.admin(AgentDefinition);
const outputMask = undefined;

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(
    await TestServer.start({
      folder: folder.path,
      settings: 'agent_ttl = "1h"',
      clock: () => new Date(Date.now() + clockOffsetMs),
    }),
  );
});
afterAll(() => resources.disposeAsync());

/** The reason that an agent's call is refused with. */
async function reasonOf(
  agent: AgentCaller,
  call: Promise<unknown> = agent.client(AgentDefinition).postStatus({ agentVersion: '', currentBundleSerial: 0n }),
): Promise<string> {
  const error: unknown = await call.catch((failure: unknown) => failure);
  if (!(error instanceof RemoteError)) return 'none';
  expect(error.status).toBe(Status.PermissionDenied);
  const [detail] = error.details;
  expect(detail?.typeUrl).toBe('type.googleapis.com/spire.api.types.PermissionDeniedDetails');
  const { reason } = PermissionDeniedDetails.decode(detail?.value ?? new Uint8Array());
  return Object.entries(Reason).find(([, value]) => value === reason)?.[0] ?? 'unknown';
}

async function attest(): Promise<AgentCaller> {
  return resources.use(await attestByJoinToken(server));
}

describe('AttestAgent by join token', () => {
  test('a token is good once', async () => {
    const token = await newJoinToken(server);
    const agent = resources.use(await attestByJoinToken(server, token));
    expect(agent.spiffeId).toBe(`spiffe://example.org/spire/agent/join_token/${token}`);
    expect(await reasonOf(agent)).toBe('none');
    await expect(attestByJoinToken(server, token)).rejects.toMatchObject({ status: wrong });
    expect(await reasonOf(agent)).toBe('none');
  });

  test('of two at once one gets it', async () => {
    const token = await newJoinToken(server);
    const results = await Promise.allSettled([1, 2, 3].map(() => attestByJoinToken(server, token)));
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
    for (const result of results) if (result.status === 'fulfilled') resources.use(result.value);
  });

  test('one whose agent cannot be remembered is not taken', async () => {
    const token = await newJoinToken(server);
    const direct = new DatabaseSync(server.datastorePath);
    direct.exec("create trigger refuse before insert on agent begin select raise(abort, 'no room'); end");
    await expect(attestByJoinToken(server, token)).rejects.toThrow();
    direct.exec('drop trigger refuse');
    direct.close();
    resources.use(await attestByJoinToken(server, token));
    await expect(attestByJoinToken(server, token)).rejects.toMatchObject({ status: wrong });
  });

  test('an expired one is gone', async () => {
    const token = await newJoinToken(server);
    clockOffsetMs = HOUR_MS;
    await expect(attestByJoinToken(server, token)).rejects.toMatchObject({
      status: wrong,
      message: expect.stringMatching(/expired/),
    });
    clockOffsetMs = 0;
    await expect(attestByJoinToken(server, token)).rejects.toMatchObject({ status: wrong });
  });

  test.each([
    ['unknown', 'unknown'],
    ['of 10 KB', 'a'.repeat(10_240)],
    ['of zero bytes', '\0\0\0'],
    ['with a path', '../../server'],
    ['a quote', "' or 1=1 --"],
    ['of broken UTF-8', Buffer.of(0xff, 0xfe).toString('latin1')],
  ])('one that is %s is refused', async (_what, token) => {
    await expect(attestByJoinToken(server, token)).rejects.toMatchObject({ status: wrong });
  });

  test('a wrong CSR does not cost the token', async () => {
    const token = await newJoinToken(server);
    using anonymous = new TlsCaller(server);
    await using call = anonymous.client(AgentDefinition).attestAgent();
    const data = { type: 'join_token', payload: Buffer.from(token) };
    await call.send({ step: { $case: 'params', value: { data, params: { csr: Buffer.of(1) } } } });
    await expect(call.receive()).rejects.toMatchObject({ status: wrong });
    resources.use(await attestByJoinToken(server, token));
  });

  test.each<readonly [string, unknown, number]>([
    ['no params', { step: undefined }, wrong],
    ['an answer first', { step: { $case: 'challengeResponse', value: Buffer.of(1) } }, wrong],
    ['no data', { step: { $case: 'params', value: { params: { csr: Buffer.of(1) } } } }, wrong],
    ['no type', paramsOf('', 'x'), wrong],
    ['no payload', paramsOf('join_token', ''), wrong],
    ['no CSR', { step: { $case: 'params', value: { data: dataOf('join_token', 'x'), params: undefined } } }, wrong],
    ['a payload of more than 3 MiB', paramsOf('join_token', 'a'.repeat(3 * 1024 * 1024 + 1)), Status.ResourceExhausted],
  ])('%s is refused', async (_what, message, status) => {
    using anonymous = new TlsCaller(server);
    await using call = anonymous.client(AgentDefinition).attestAgent();
    await call.send(message as Parameters<typeof call.send>[0]);
    await expect(call.receive()).rejects.toMatchObject({ status });
  });

  test('an attestor that is not configured is named', async () => {
    using anonymous = new TlsCaller(server);
    await using call = anonymous.client(AgentDefinition).attestAgent();
    const { csr } = await newCsr();
    await call.send({ step: { $case: 'params', value: { data: dataOf('azure_msi', 'x'), params: { csr } } } });
    await expect(call.receive()).rejects.toMatchObject({
      status: Status.FailedPrecondition,
      message: expect.stringMatching(/"azure_msi"/),
    });
  });

  test('a stream that ends at once is refused', async () => {
    using anonymous = new TlsCaller(server);
    await using call = anonymous.client(AgentDefinition).attestAgent();
    call.end();
    await expect(call.receive()).rejects.toMatchObject({ status: wrong });
  });
});

function dataOf(type: string, payload: string) {
  return { type, payload: Buffer.from(payload) };
}

function paramsOf(type: string, payload: string) {
  return { step: { $case: 'params', value: { data: dataOf(type, payload), params: { csr: Buffer.of(1) } } } };
}

describe('an agent', () => {
  test('that was deleted is not attested', async () => {
    const agent = await attest();
    await admin().deleteAgent({ id: agent.id });
    expect(await reasonOf(agent)).toBe('AGENT_NOT_ATTESTED');
  });

  test('that is banned stays so until it is deleted', async () => {
    const token = await newJoinToken(server);
    const agent = resources.use(await attestByJoinToken(server, token));
    await admin().banAgent({ id: agent.id });
    expect(await reasonOf(agent)).toBe('AGENT_BANNED');
    expect(await admin().getAgent({ id: agent.id, outputMask })).toMatchObject({
      banned: true,
      x509svidSerialNumber: '',
    });
    await expect(newJoinToken(server, token)).rejects.toMatchObject({ status: Status.AlreadyExists });
    await admin().deleteAgent({ id: agent.id });
    await newJoinToken(server, token);
    expect(await reasonOf(resources.use(await attestByJoinToken(server, token)))).toBe('none');
  });

  test('keeps its old SVID until the new one was used', async () => {
    const agent = await attest();
    const renewed = resources.use(await renew(server, agent));
    expect(await reasonOf(agent)).toBe('none');
    expect(await reasonOf(renewed)).toBe('none');
    expect(await reasonOf(agent)).toBe('AGENT_NOT_ACTIVE');
    expect(await reasonOf(renewed)).toBe('none');
  });

  test('has but the last of the SVIDs that it did not use', async () => {
    const agent = await attest();
    const first = resources.use(await renew(server, agent));
    const second = resources.use(await renew(server, agent));
    expect(await reasonOf(first)).toBe('AGENT_NOT_ACTIVE');
    expect(await reasonOf(agent)).toBe('none');
    expect(await reasonOf(second)).toBe('none');
  });

  test('cannot call with an SVID that expired on an open connection', async () => {
    const agent = await attest();
    expect(await reasonOf(agent)).toBe('none');
    clockOffsetMs = HOUR_MS;
    try {
      expect(await reasonOf(agent)).toBe('AGENT_EXPIRED');
    } finally {
      clockOffsetMs = 0;
    }
  });

  test('that can attest again has to, instead of renewing', async () => {
    const agent = await attest();
    await using datastore = await openDatastore({ path: server.datastorePath });
    await datastore.agents.update(parseSpiffeId(agent.spiffeId), { canReattest: true });
    const call = agent.client(AgentDefinition).renewAgent({ params: undefined });
    expect(await reasonOf(agent, call)).toBe('AGENT_MUST_REATTEST');
    expect(await reasonOf(agent)).toBe('none');
  });

  test('renews with a CSR only', async () => {
    const { client } = await attest().then((agent) => ({ client: agent.client(AgentDefinition) }));
    await expect(client.renewAgent({ params: undefined })).rejects.toMatchObject({ status: wrong });
    await expect(client.renewAgent({ params: { csr: new Uint8Array() } })).rejects.toMatchObject({ status: wrong });
    await expect(client.renewAgent({ params: { csr: Buffer.of(1) } })).rejects.toMatchObject({ status: wrong });
  });

  test('tells its version', async () => {
    const agent = await attest();
    const post = (agentVersion: string) =>
      agent.client(AgentDefinition).postStatus({ agentVersion, currentBundleSerial: 0n });
    const version = async () => (await admin().getAgent({ id: agent.id, outputMask })).agentVersion;
    await post('1.2.3');
    expect(await version()).toBe('1.2.3');
    await post('');
    expect(await version()).toBe('1.2.3');
    await expect(post('a'.repeat(256))).rejects.toMatchObject({ status: wrong });
  });
});

describe('GetAgent, DeleteAgent and BanAgent', () => {
  test.each<readonly [string, ReturnType<typeof apiId> | undefined, number]>([
    ['no ID', undefined, wrong],
    ['a workload', apiId('/web'), wrong],
    ['a foreign agent', { trustDomain: 'other.org', path: '/spire/agent/x/y' }, wrong],
    ['the namespace', apiId('/spire/agent'), wrong],
    ['an unknown agent', apiId('/spire/agent/x/y'), Status.NotFound],
  ])('of %s is refused', async (_what, id, status) => {
    await expect(admin().getAgent({ id, outputMask })).rejects.toMatchObject({ status });
    await expect(admin().deleteAgent({ id })).rejects.toMatchObject({ status });
    await expect(admin().banAgent({ id })).rejects.toMatchObject({ status });
  });

  test.each(Object.keys(AgentMask.create()))('GetAgent with a mask shows the id and %s', async (field) => {
    const { id } = await attest();
    const whole = await admin().getAgent({ id, outputMask });
    const shown = await admin().getAgent({ id, outputMask: AgentMask.fromPartial({ [field]: true }) });
    const wanted = Object.entries(whole).filter(([key]) => key === field);
    expect(shown).toEqual(Agent.create({ id, ...Object.fromEntries(wanted) }));
  });
});

describe('ListAgents and CountAgents', () => {
  const NO_FILTER: Filter = {
    byAttestationType: '',
    bySelectorMatch: undefined,
    byBanned: undefined,
    byCanReattest: undefined,
    byExpiresBefore: '',
  };
  let own: TestServer;
  let all: readonly string[];

  beforeAll(async () => {
    const folder = resources.use(await createTemporaryFolder());
    own = resources.use(
      await TestServer.start({
        folder: folder.path,
        settings: 'experimental { agent_spiffe_id_as_selector = true }',
      }),
    );
    const agents = [];
    for (const _ of [1, 2, 3]) agents.push(resources.use(await attestByJoinToken(own)));
    all = agents.map(({ spiffeId }) => spiffeId).sort();
    await own.admin(AgentDefinition).banAgent({ id: apiId(pathOf(all[0])) });
  });
  const pathOf = (id = '') => id.replace('spiffe://example.org', '');
  const list = async (filter: Partial<Filter>, pageSize = 0, pageToken = '') => {
    const request = { filter: { ...NO_FILTER, ...filter }, outputMask, pageSize, pageToken };
    const { agents, nextPageToken } = await own.admin(AgentDefinition).listAgents(request);
    return { ids: agents.map(({ id }) => `spiffe://${id?.trustDomain}${id?.path}`), nextPageToken };
  };
  const goTime = (date: Date) => `${date.toISOString().slice(0, 19).replace('T', ' ')} +0000 +00`;

  test.each<readonly [string, () => Partial<Filter>, readonly number[]]>([
    ['nothing', () => ({}), [0, 1, 2]],
    ['its attestor', () => ({ byAttestationType: 'join_token' }), [0, 1, 2]],
    ['another attestor', () => ({ byAttestationType: 'tpm' }), []],
    ['ban', () => ({ byBanned: true }), [0]],
    ['no ban', () => ({ byBanned: false }), [1, 2]],
    ['attesting again', () => ({ byCanReattest: true }), []],
    ['not attesting again', () => ({ byCanReattest: false }), [0, 1, 2]],
    ['an expiry that is past', () => ({ byExpiresBefore: goTime(new Date()) }), []],
    ['an expiry to come', () => ({ byExpiresBefore: goTime(new Date(Date.now() + 2 * HOUR_MS)) }), [0, 1, 2]],
    [
      'its ID as a selector',
      () => ({
        bySelectorMatch: { match: Match.MATCH_EXACT, selectors: [{ type: 'spiffe_id', value: all[1] ?? '' }] },
      }),
      [1],
    ],
  ])('by %s', async (_what, filter, indexes) => {
    const { ids } = await list(filter());
    expect(ids).toEqual(indexes.map((index) => all[index]));
    const count = await own.admin(AgentDefinition).countAgents({ filter: { ...NO_FILTER, ...filter() } });
    expect(count).toEqual({ count: indexes.length });
  });

  test.each<readonly [string, Partial<Filter>]>([
    ['a time in another form', { byExpiresBefore: '2026-01-01' }],
    ['a time that does not exist', { byExpiresBefore: '2026-13-41 00:00:00 +0000 +00' }],
    ['no selectors', { bySelectorMatch: { match: Match.MATCH_ANY, selectors: [] } }],
    [
      'a selector without a type',
      { bySelectorMatch: { match: Match.MATCH_ANY, selectors: [{ type: '', value: 'x' }] } },
    ],
  ])('refuses %s', async (_what, filter) => {
    await expect(list(filter)).rejects.toMatchObject({ status: wrong });
  });

  test('pages follow one another', async () => {
    const first = await list({}, 2);
    const second = await list({}, 2, first.nextPageToken);
    expect([first.ids, second.ids, second.nextPageToken]).toEqual([all.slice(0, 2), all.slice(2), '']);
  });
});

test('a peer without an SVID gets the bundle and nothing else', async () => {
  using anonymous = new TlsCaller(server);
  expect(await anonymous.client(BundleDefinition).getBundle({ outputMask })).toMatchObject({
    trustDomain: 'example.org',
  });
  await expect(anonymous.client(AgentDefinition).countAgents({ filter: undefined })).rejects.toMatchObject({
    status: Status.PermissionDenied,
  });
});

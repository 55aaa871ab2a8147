import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Status } from '../../src/spiffe/status.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { apiId, attestByJoinToken } from './callers.ts';

const resources = new AsyncDisposableStack();
let server: TestServer;
const wrong = Status.InvalidArgument;
const admin = () => server.admin(AgentDefinition);
const outputMask = undefined;

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path }));
});
afterAll(() => resources.disposeAsync());

describe('CreateJoinToken', () => {
  const create = (ttl: number, token = '', agentId?: ReturnType<typeof apiId>) =>
    admin().createJoinToken({ ttl, token, agentId });

  test('with an agent ID gives the node that name, until the node is deleted', async () => {
    const { value, expiresAt } = await create(60, '', apiId('/my-node'));
    expect(Math.abs(Number(expiresAt) - Date.now() / 1000 - 60)).toBeLessThan(30);
    const agent = resources.use(await attestByJoinToken(server, value));
    const { entries } = await agent.client(EntryDefinition).getAuthorizedEntries({ outputMask });
    expect(entries).toMatchObject([
      { spiffeId: apiId('/my-node'), parentId: agent.id, selectors: [{ type: 'spiffe_id', value: agent.spiffeId }] },
    ]);
    await admin().deleteAgent({ id: agent.id });
    await expect(
      server.admin(EntryDefinition).getEntry({ id: entries[0]?.id ?? '', outputMask }),
    ).rejects.toMatchObject({ status: Status.NotFound });
  });

  test.each<readonly [string, Parameters<typeof create>, number]>([
    ['no TTL', [0], wrong],
    ['a negative TTL', [-1], wrong],
    ['a token of two segments', [60, 'a/b'], wrong],
    ['a token that is a dot segment', [60, '..'], wrong],
    ['a token with a space', [60, 'a b'], wrong],
    ['a token of 257 bytes', [60, 'a'.repeat(257)], wrong],
    ['a foreign agent ID', [60, '', { trustDomain: 'other.org', path: '/n' }], wrong],
    ['a reserved agent ID', [60, '', apiId('/spire/server')], wrong],
  ])('refuses %s', async (_what, args, status) => {
    await expect(create(...args)).rejects.toMatchObject({ status });
  });

  test('refuses the token of an agent that there is, as a new one would hand that agent over', async () => {
    const { value } = await create(60);
    const agent = resources.use(await attestByJoinToken(server, value));
    await expect(create(60, value)).rejects.toMatchObject({
      status: Status.AlreadyExists,
      message: expect.stringContaining(agent.spiffeId),
    });
    await admin().deleteAgent({ id: agent.id });
    await expect(create(60, value)).resolves.toMatchObject({ value });
  });

  test('refuses a token that is there, and makes no entry', async () => {
    await create(60, 'taken');
    await expect(create(60, 'taken', apiId('/taken'))).rejects.toMatchObject({ status: Status.AlreadyExists });
    const { entries } = await server.admin(EntryDefinition).listEntries({
      filter: undefined,
      outputMask,
      pageSize: 0,
      pageToken: '',
    });
    expect(entries.filter(({ spiffeId }) => spiffeId?.path === '/taken')).toEqual([]);
  });
});

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { AgentDefinition } from '../../../src/gen/spire/api/server/agent/v1/agent.ts';
import { EntryDefinition } from '../../../src/gen/spire/api/server/entry/v1/entry.ts';
import { EntryMask } from '../../../src/gen/spire/api/types/types.ts';
import { Status } from '../../../src/spiffe/status.ts';
import { TestServer } from '../../harness/running-server.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';
import { apiId, mintedCaller, type TlsCaller } from '../callers.ts';
import { create, created, inScope, list, update } from './registrar.ts';

const SETTINGS = `
  authorization {
    role "everything" {
      callers = ["spiffe://example.org/everything"]
      methods = ["entries:write", "join-tokens:create"]
    }
    role "names" {
      callers = ["spiffe://example.org/names"]
      methods = ["entries:write"]
      scope { spiffe_id_prefixes = ["spiffe://example.org/ns/shop"] }
    }
    role "aliases" {
      callers = ["spiffe://example.org/aliases"]
      methods = ["entries:write"]
      scope {
        parent_ids = ["spiffe://example.org/spire/server"]
        spiffe_id_prefixes = ["spiffe://example.org/nodes"]
      }
    }
  }`;

const resources = new AsyncDisposableStack();
let server: TestServer;
let everythingCaller: TlsCaller;
let namesCaller: TlsCaller;
let aliasesCaller: TlsCaller;
const admin = () => server.admin(EntryDefinition);
const everything = () => everythingCaller.client(EntryDefinition);

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path, settings: SETTINGS }));
  everythingCaller = resources.use(await mintedCaller(server, '/everything'));
  namesCaller = resources.use(await mintedCaller(server, '/names'));
  aliasesCaller = resources.use(await mintedCaller(server, '/aliases'));
});
afterAll(() => resources.disposeAsync());
beforeEach(async () => {
  const { entries } = await list(admin());
  await admin().batchDeleteEntry({ ids: entries.map(({ id }) => id) });
});

test('a role without a scope gives nobody what leads down to an administrator’s entry', async () => {
  const admins = inScope({ spiffeId: apiId('/deep/admin'), parentId: apiId('/nodes/inner'), admin: true });
  const adminsId = await created(admin(), admins);
  await created(admin(), inScope({ spiffeId: apiId('/nodes/inner'), parentId: apiId('/nodes/outer') }));
  const wanted = [
    inScope({ spiffeId: apiId('/nodes/inner'), parentId: apiId('/spire/server') }),
    inScope({ spiffeId: apiId('/nodes/outer') }),
    inScope({ spiffeId: apiId('/nodes/outer'), parentId: apiId('/nodes/own') }),
  ];
  for (const { status } of await create(everything(), ...wanted)) {
    expect(status?.code).toBe(Status.PermissionDenied);
    expect(status?.message).toMatch(/is given "spiffe:\/\/example.org\/deep\/admin" too, by entries below it/);
  }
  const agents = everythingCaller.client(AgentDefinition);
  await expect(agents.createJoinToken({ ttl: 60, token: '', agentId: apiId('/nodes/outer') })).rejects.toMatchObject({
    status: Status.PermissionDenied,
    message: expect.stringContaining('by entries below it'),
  });
  const own = await created(everything(), inScope({ spiffeId: apiId('/nodes/own') }));
  const mask = EntryMask.fromPartial({ spiffeId: true });
  const moved = await update(everything(), { id: own, spiffeId: apiId('/nodes/outer') }, mask);
  expect(moved?.status?.code).toBe(Status.PermissionDenied);
  await admin().batchDeleteEntry({ ids: [adminsId] });
  expect((await create(everything(), ...wanted)).map(({ status }) => status?.code)).toEqual([0, 0, 0]);
});

test('what is below an entry is within the scope too, but below aliases for whom these are', async () => {
  await created(admin(), inScope({ spiffeId: apiId('/ns/bank/web'), parentId: apiId('/ns/shop/node') }));
  const names = namesCaller.client(EntryDefinition);
  const [refused] = await create(names, inScope({ spiffeId: apiId('/ns/shop/node') }));
  expect(refused?.status?.message).toMatch(/is given "spiffe:\/\/example.org\/ns\/bank\/web" too/);
  await created(admin(), inScope({ spiffeId: apiId('/ns/bank/app'), parentId: apiId('/nodes/bank') }));
  const aliases = aliasesCaller.client(EntryDefinition);
  const alias = inScope({ spiffeId: apiId('/nodes/bank'), parentId: apiId('/spire/server') });
  const id = await created(aliases, alias);
  await created(admin(), inScope({ spiffeId: apiId('/ns/bank/chief'), parentId: apiId('/nodes/bank'), admin: true }));
  const [kept] = (await aliases.batchDeleteEntry({ ids: [id] })).results;
  expect(kept?.status?.code).toBe(Status.PermissionDenied);
});

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AgentDefinition } from '../../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { DebugDefinition } from '../../../src/gen/spire/api/server/debug/v1/debug.ts';
import { EntryDefinition } from '../../../src/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDDefinition } from '../../../src/gen/spire/api/server/svid/v1/svid.ts';
import { type Entry, EntryMask, SelectorMatch_MatchBehavior as Match } from '../../../src/gen/spire/api/types/types.ts';
import { Status } from '../../../src/spiffe/status.ts';
import { TestServer } from '../../harness/running-server.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';
import { apiId, attestByJoinToken, mintedCaller, newCsr, type TlsCaller } from '../callers.ts';
import { count, create, created, inScope, list, outputMask, update } from './registrar.ts';

const SETTINGS = `
  admin_ids = ["spiffe://example.org/ns/shop/chief"]
  authorization {
    role "shop-registrar" {
      callers = ["spiffe://example.org/ns/shop/registrar"]
      methods = ["entries:read", "entries:write", "svids:mint", "agents:read"]
      scope {
        parent_id_prefixes = ["spiffe://example.org/spire/agent/k8s_psat/one"]
        spiffe_id_prefixes = ["spiffe://example.org/ns/shop"]
        selector_types = ["k8s"]
      }
    }
    role "shop-names" {
      callers = ["spiffe://example.org/ns/shop/names"]
      methods = ["entries:write"]
      scope { spiffe_id_prefixes = ["spiffe://example.org/ns/shop"] }
      grants = ["dns_names", "federates_with", "store_svid"]
    }
    role "two-a" {
      callers = ["spiffe://example.org/two"]
      methods = ["entries:read", "entries:write"]
      scope { spiffe_id_prefixes = ["spiffe://example.org/ns/a"] }
    }
    role "two-b" {
      callers = ["spiffe://example.org/two"]
      methods = ["entries:read", "entries:write"]
      scope { spiffe_id_prefixes = ["spiffe://example.org/ns/b"] }
    }
    role "everything" {
      callers = ["spiffe://example.org/everything"]
      methods = ["entries:read", "entries:write", "svids:mint", "join-tokens:create", "agents:read", "agents:write"]
    }
    role "monitor" {
      callers = ["spiffe://example.org/monitor"]
      methods = ["spire.api.server.entry.v1.Entry/CountEntries", "debug:read"]
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
let clockOffsetMs = 0;
const callers = new Map<string, TlsCaller>();
const as = (path: string) => {
  const caller = callers.get(path);
  if (caller === undefined) throw new Error(`no caller ${path}`);
  return caller;
};
const registrar = () => as('/ns/shop/registrar').client(EntryDefinition);
const admin = () => server.admin(EntryDefinition);

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  const clock = () => new Date(Date.now() + clockOffsetMs);
  server = resources.use(await TestServer.start({ folder: folder.path, settings: SETTINGS, clock }));
  for (const path of [
    '/ns/shop/registrar',
    '/ns/shop/names',
    '/two',
    '/everything',
    '/monitor',
    '/aliases',
    '/ns/shop/chief',
    '/ns/shop/web',
  ]) {
    callers.set(path, resources.use(await mintedCaller(server, path)));
  }
});
afterAll(() => resources.disposeAsync());
beforeEach(async () => {
  const { entries } = await list(admin());
  await admin().batchDeleteEntry({ ids: entries.map(({ id }) => id) });
});

const denied = (message: RegExp) =>
  expect.objectContaining({ status: Status.PermissionDenied, message: expect.stringMatching(message) });
const outsiders: readonly (readonly [string, Entry])[] = [
  ['another namespace', inScope({ spiffeId: apiId('/ns/bank/web') })],
  ['a namespace whose name begins alike', inScope({ spiffeId: apiId('/ns/shopping/web') })],
  ['the namespace in other letters', inScope({ spiffeId: apiId('/ns/Shop/web') })],
  ['another cluster', inScope({ parentId: apiId('/spire/agent/k8s_psat/two/node') })],
  ['a cluster whose name begins alike', inScope({ parentId: apiId('/spire/agent/k8s_psat/one-more/node') })],
  ['an alias of nodes', inScope({ parentId: apiId('/spire/server') })],
  ['a parent of its own namespace', inScope({ parentId: apiId('/ns/shop/node') })],
  ['selectors of another type', inScope({ selectors: [{ type: 'unix', value: 'uid:0' }] })],
  [
    'a selector of another type among its own',
    inScope({
      selectors: [
        { type: 'k8s', value: 'ns:shop' },
        { type: 'unix', value: 'uid:0' },
      ],
    }),
  ],
];

describe('a registrar of one namespace', () => {
  test('creates, gets, lists, counts, updates and deletes there', async () => {
    const id = await created(registrar(), inScope());
    expect((await registrar().getEntry({ id, outputMask })).spiffeId).toEqual(apiId('/ns/shop/web'));
    expect((await list(registrar())).entries.map((entry) => entry.id)).toEqual([id]);
    expect(await count(registrar())).toBe(1);
    const updated = await update(registrar(), { id, hint: 'new' }, EntryMask.fromPartial({ hint: true }));
    expect(updated).toMatchObject({ status: { code: 0 }, entry: { hint: 'new', spiffeId: apiId('/ns/shop/web') } });
    expect((await registrar().batchDeleteEntry({ ids: [id] })).results[0]?.status?.code).toBe(0);
    expect(await count(admin())).toBe(0);
  });

  test.each(outsiders)('creates nothing with %s', async (_what, entry) => {
    const [result] = await create(registrar(), entry);
    expect(result).toMatchObject({
      status: {
        code: Status.PermissionDenied,
        message: expect.stringMatching(/^role "shop-registrar" does not allow/),
      },
      entry: undefined,
    });
    expect(await count(admin())).toBe(0);
  });

  test.each(outsiders)('does not see, change or delete one with %s', async (_what, entry) => {
    const id = await created(admin(), entry);
    await expect(registrar().getEntry({ id, outputMask })).rejects.toMatchObject({
      status: Status.NotFound,
      message: `no registration entry "${id}"`,
    });
    expect((await list(registrar())).entries).toEqual([]);
    expect(await count(registrar())).toBe(0);
    const notFound = { status: { code: Status.NotFound, message: `no registration entry "${id}"` } };
    expect(await update(registrar(), { id, hint: 'mine' }, EntryMask.fromPartial({ hint: true }))).toMatchObject(
      notFound,
    );
    expect(await update(registrar(), { ...inScope(), id })).toMatchObject(notFound); // and does not take it over
    expect((await registrar().batchDeleteEntry({ ids: [id] })).results[0]).toMatchObject(notFound);
    expect(await admin().getEntry({ id, outputMask })).toMatchObject({ spiffeId: entry.spiffeId, revisionNumber: 0n });
  });

  test.each(outsiders)('moves nothing out of it, to %s', async (_what, entry) => {
    const id = await created(registrar(), inScope());
    expect((await update(registrar(), { ...entry, id }))?.status?.code).toBe(Status.PermissionDenied);
    for (const field of ['spiffeId', 'parentId', 'selectors'] as const) {
      const mask = EntryMask.fromPartial({ [field]: true });
      const result = await update(registrar(), { ...entry, id }, mask);
      const isSame = JSON.stringify(entry[field]) === JSON.stringify(inScope()[field]);
      expect(result?.status?.code).toBe(isSame ? Status.Ok : Status.PermissionDenied);
    }
    expect(await admin().getEntry({ id, outputMask })).toMatchObject({
      spiffeId: inScope().spiffeId,
      parentId: inScope().parentId,
      selectors: inScope().selectors,
    });
  });

  const FLAGS: readonly (readonly [string, Partial<Entry>])[] = [
    ['admin', { admin: true }],
    ['downstream', { downstream: true }],
    ['store_svid', { storeSvid: true }],
    ['dns_names', { dnsNames: ['bank.example'] }],
    ['federates_with', { federatesWith: ['example.org'] }],
  ];
  test.each(FLAGS)('does not set %s, nor touch what has it', async (name, flag) => {
    const message = expect.stringContaining(`it has ${name}, which the role does not grant`);
    const refused = { status: { code: Status.PermissionDenied, message } };
    expect((await create(registrar(), inScope(flag)))[0]).toMatchObject(refused);
    const id = await created(registrar(), inScope());
    expect(await update(registrar(), { ...inScope(flag), id })).toMatchObject(refused);
    const given = await created(admin(), inScope({ ...flag, spiffeId: apiId('/ns/shop/other') }));
    const mask = EntryMask.fromPartial({ selectors: true });
    expect(await update(registrar(), { ...inScope(), id: given }, mask)).toMatchObject(refused);
    expect((await registrar().batchDeleteEntry({ ids: [given] })).results[0]).toMatchObject(refused);
    expect((await registrar().getEntry({ id: given, outputMask })).id).toBe(given); // it is of its namespace
  });

  test.each([
    ['an administrator, by admin_ids', '/ns/shop/chief', {}],
    ['a caller of a role, itself among them', '/ns/shop/registrar', {}],
    ['an administrator, by an entry', '/ns/shop/deputy', { admin: true }],
    ['a downstream server', '/ns/shop/below', { downstream: true }],
  ])('gives nobody the SPIFFE ID of %s', async (_what, path, flags) => {
    const rights = await created(
      admin(),
      inScope({ spiffeId: apiId(path), selectors: [{ type: 'k8s', value: 'a' }], ...flags }),
    );
    const theirs = inScope({ spiffeId: apiId(path), selectors: [{ type: 'k8s', value: 'pod:mine' }] });
    const message = expect.stringMatching(/that takes the grant "(admin|downstream)"/);
    const refused = { status: { code: Status.PermissionDenied, message } };
    expect((await create(registrar(), theirs))[0]).toMatchObject(refused);
    const id = await created(registrar(), inScope());
    expect(await update(registrar(), { ...theirs, id })).toMatchObject(refused);
    expect(await update(registrar(), { ...theirs, id: rights })).toMatchObject({
      status: { code: Status.PermissionDenied },
    });
    const { csr } = await newCsr({ uriNames: [`spiffe://example.org${path}`] });
    const svids = as('/ns/shop/registrar').client(SVIDDefinition);
    await expect(svids.mintX509SVID({ csr, ttl: 0 })).rejects.toEqual(denied(/takes the grant/));
    await expect(svids.mintJWTSVID({ id: apiId(path), audience: ['a'], ttl: 0 })).rejects.toEqual(denied(/takes the/));
  });

  test.each(['/spire/server', '/spire/agent/k8s_psat/one/node', '/spire', ''])(
    'gives nobody the reserved SPIFFE ID %j',
    async (path) => {
      const [result] = await create(registrar(), inScope({ spiffeId: apiId(path) }));
      expect(result?.status?.code).toBe(Status.InvalidArgument);
    },
  );

  test('does not learn of others by pages, filters and tokens', async () => {
    const own = await created(registrar(), inScope());
    for (const [, entry] of outsiders) await created(admin(), entry);
    let token = '';
    const seen: string[] = [];
    do {
      const page = await list(registrar(), {}, 1, token);
      seen.push(...page.entries.map(({ id }) => id));
      token = page.nextPageToken;
    } while (token !== '');
    expect(seen).toEqual([own]);
    const adminPage = await list(admin(), {}, 1);
    expect((await list(registrar(), {}, 1000, adminPage.nextPageToken)).entries.length).toBeLessThanOrEqual(1);
    for (const [, entry] of outsiders) {
      const filter = { bySpiffeId: entry.spiffeId, byParentId: entry.parentId };
      const mine = entry.spiffeId?.path === '/ns/shop/web' && entry.parentId?.path.endsWith('/one/node') ? 1 : 0;
      expect(await count(registrar(), filter)).toBe(mine);
      const bySelectors = { selectors: entry.selectors, match: Match.MATCH_ANY };
      expect((await list(registrar(), { bySelectors })).entries.every(({ id }) => id === own)).toBe(true);
    }
    expect(await count(registrar(), { byDownstream: false })).toBe(1);
  });

  test('is told of one that is there already only where that is its own', async () => {
    const id = await created(admin(), inScope());
    expect((await create(registrar(), inScope()))[0]).toMatchObject({ status: { code: 6 }, entry: { id } });
    const other = await created(admin(), inScope({ spiffeId: apiId('/ns/bank/web') }));
    const [result] = await create(registrar(), inScope({ id: other, hint: 'x', spiffeId: apiId('/ns/shop/b') }));
    expect(result).toMatchObject({ status: { code: Status.AlreadyExists }, entry: undefined });
  });

  test('has each item of a batch judged alone', async () => {
    const bank = inScope({ spiffeId: apiId('/ns/bank/web') });
    const results = await create(registrar(), inScope(), bank, inScope({ spiffeId: apiId('/ns/shop/b') }));
    expect(results.map(({ status }) => status?.code)).toEqual([0, 7, 0]);
    expect(await count(admin())).toBe(2);
  });

  test('mints for its namespace alone, without DNS names', async () => {
    const svids = as('/ns/shop/registrar').client(SVIDDefinition);
    const mint = async (path: string, dnsNames: readonly string[] = []) =>
      svids.mintX509SVID({ ttl: 0, csr: (await newCsr({ uriNames: [`spiffe://example.org${path}`], dnsNames })).csr });
    expect((await mint('/ns/shop/web')).svid?.id).toEqual(apiId('/ns/shop/web'));
    await expect(mint('/ns/bank/web')).rejects.toEqual(denied(/outside of the scope/));
    await expect(mint('/ns/shopping')).rejects.toEqual(denied(/outside of the scope/));
    await expect(mint('/ns/shop/web', ['bank.example'])).rejects.toEqual(denied(/dns_names are not granted/));
  });

  test('sees no agents but those of its cluster', async () => {
    const other = await attestByJoinToken(server);
    const agents = as('/ns/shop/registrar').client(AgentDefinition);
    expect((await agents.listAgents({ filter: undefined, outputMask, pageSize: 0, pageToken: '' })).agents).toEqual([]);
    expect((await agents.countAgents({ filter: undefined })).count).toBe(0);
    await expect(agents.getAgent({ id: other.id, outputMask })).rejects.toMatchObject({ status: Status.NotFound });
    await expect(agents.banAgent({ id: other.id })).rejects.toEqual(denied(/./));
    other[Symbol.dispose]();
  });

  test('calls nothing else', async () => {
    const caller = as('/ns/shop/registrar');
    const agents = caller.client(AgentDefinition);
    await expect(agents.createJoinToken({ ttl: 60, token: '', agentId: undefined })).rejects.toEqual(denied(/./));
    await expect(caller.client(BundleDefinition).countBundles({})).rejects.toEqual(denied(/./));
    await expect(caller.client(DebugDefinition).getInfo({})).rejects.toEqual(denied(/./));
    await expect(caller.client(EntryDefinition).getAuthorizedEntries({ outputMask })).rejects.toEqual(denied(/./));
  });

  test('loses its rights with its SVID, on a connection that stays', async () => {
    expect(await count(registrar())).toBe(0);
    clockOffsetMs = 7_200_000;
    try {
      await expect(registrar().countEntries({ filter: undefined })).rejects.toEqual(denied(/./));
    } finally {
      clockOffsetMs = 0;
    }
  });
});

test('a workload of the namespace has no role', async () => {
  const workload = as('/ns/shop/web').client(EntryDefinition);
  await expect(workload.countEntries({ filter: undefined })).rejects.toEqual(denied(/./));
});

test('an administrator stays one, whatever roles there are', async () => {
  const chief = as('/ns/shop/chief').client(EntryDefinition);
  await created(chief, inScope({ spiffeId: apiId('/ns/bank/web'), admin: true, parentId: apiId('/spire/server') }));
  expect(await count(chief)).toBe(1);
});

test('a grant lets fields be set, within the scope', async () => {
  const names = as('/ns/shop/names').client(EntryDefinition);
  expect((await create(names, inScope({ dnsNames: ['shop.example'] })))[0]?.status?.code).toBe(0);
  expect((await create(names, inScope({ storeSvid: true, spiffeId: apiId('/ns/shop/s') })))[0]?.status?.code).toBe(0);
  expect((await create(names, inScope({ admin: true })))[0]?.status?.code).toBe(Status.PermissionDenied);
  expect((await create(names, inScope({ dnsNames: ['a.example'], spiffeId: apiId('/x') })))[0]?.status?.code).toBe(7);
  await expect(names.countEntries({ filter: undefined })).rejects.toEqual(denied(/./));
});

test('one role has to cover a whole change: two together do not move an entry between their scopes', async () => {
  const two = as('/two').client(EntryDefinition);
  const id = await created(two, inScope({ spiffeId: apiId('/ns/a/x') }));
  await created(two, inScope({ spiffeId: apiId('/ns/b/x') }));
  await created(admin(), inScope({ spiffeId: apiId('/ns/c/x') }));
  expect(await count(two)).toBe(2);
  const mask = EntryMask.fromPartial({ spiffeId: true });
  expect((await update(two, { id, spiffeId: apiId('/ns/a/y') }, mask))?.status?.code).toBe(0);
  expect((await update(two, { id, spiffeId: apiId('/ns/b/y') }, mask))?.status?.code).toBe(Status.PermissionDenied);
});

describe('a role without a scope', () => {
  const everything = () => as('/everything').client(EntryDefinition);

  test('enters whom it likes, node aliases too, but makes nobody an administrator', async () => {
    await created(everything(), inScope({ spiffeId: apiId('/nodes/all'), parentId: apiId('/spire/server') }));
    for (const flags of [{ admin: true }, { downstream: true }]) {
      expect((await create(everything(), inScope(flags)))[0]?.status?.code).toBe(Status.PermissionDenied);
    }
    const chief = inScope({ spiffeId: apiId('/ns/shop/chief') });
    expect((await create(everything(), chief))[0]?.status?.code).toBe(Status.PermissionDenied);
  });

  test('does not get to an administrator’s SPIFFE ID by a join token or by minting', async () => {
    const agents = as('/everything').client(AgentDefinition);
    const token = (agentId: ReturnType<typeof apiId> | undefined) =>
      agents.createJoinToken({ ttl: 60, token: '', agentId });
    expect((await token(undefined)).value).not.toBe('');
    expect((await token(apiId('/nodes/one'))).value).not.toBe('');
    await expect(token(apiId('/ns/shop/chief'))).rejects.toEqual(denied(/takes the grant "admin"/));
    const { csr } = await newCsr({ uriNames: ['spiffe://example.org/ns/shop/chief'] });
    await expect(as('/everything').client(SVIDDefinition).mintX509SVID({ csr, ttl: 0 })).rejects.toEqual(
      denied(/gran/),
    );
  });

  test('sees and bans every agent', async () => {
    using agent = await attestByJoinToken(server);
    const agents = as('/everything').client(AgentDefinition);
    expect((await agents.getAgent({ id: agent.id, outputMask })).banned).toBe(false);
    await agents.banAgent({ id: agent.id });
    expect((await agents.getAgent({ id: agent.id, outputMask })).banned).toBe(true);
  });
});

test('a role has the methods that it names, one of a group or those of the admin socket', async () => {
  const monitor = as('/monitor');
  expect(await count(monitor.client(EntryDefinition))).toBe(0);
  await expect(list(monitor.client(EntryDefinition))).rejects.toEqual(denied(/./));
  expect((await monitor.client(DebugDefinition).getInfo({})).entriesCount).toBe(0);
});

test('node aliases are for a scope that names the server', async () => {
  const aliases = as('/aliases').client(EntryDefinition);
  const alias = (path: string) => inScope({ spiffeId: apiId(path), parentId: apiId('/spire/server') });
  expect((await create(aliases, alias('/nodes/one')))[0]?.status?.code).toBe(0);
  expect((await create(aliases, alias('/other')))[0]?.status?.code).toBe(Status.PermissionDenied);
  const names = as('/ns/shop/names').client(EntryDefinition); // no condition on parents
  expect((await create(names, alias('/ns/shop/nodes')))[0]?.status?.message).toMatch(/it is a node alias/);
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry } from '../../src/gen/spire/api/types/types.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { type AgentCaller, apiId, attestByJoinToken } from '../server/callers.ts';
import { runCli } from './run-cli.ts';

const resources = new AsyncDisposableStack();
let server: TestServer;
let agent: AgentCaller;
let other: AgentCaller;
let banned: AgentCaller;
let webId: string;
let aliasId: string;
let nodeNameId: string;

const TD = 'spiffe://example.org';
const unix = (...values: readonly string[]) => values.map((value) => ({ type: 'unix', value }));

async function create(parent: string, path: string, more: Partial<Entry> = {}): Promise<string> {
  const entry = Entry.fromPartial({
    parentId: apiId(parent),
    spiffeId: apiId(path),
    selectors: unix('uid:0'),
    ...more,
  });
  const { results } = await server.admin(EntryDefinition).batchCreateEntry({ entries: [entry], outputMask: undefined });
  if (results[0]?.entry === undefined) throw new Error(results[0]?.status?.message);
  return results[0].entry.id;
}

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path }));
  agent = resources.use(await attestByJoinToken(server));
  other = resources.use(await attestByJoinToken(server));
  banned = resources.use(await attestByJoinToken(server));
  await server.admin(AgentDefinition).banAgent({ id: banned.id });
  webId = await create(agent.id.path, '/web', { selectors: unix('uid:1000', 'path:/usr/bin/web') });
  nodeNameId = await create(agent.id.path, '/node-name');
  await create('/node-name', '/below', { selectors: unix('uid:7') });
  await create(other.id.path, '/elsewhere', { selectors: unix('uid:1000') });
  await create('/nobody', '/orphan');
  aliasId = await create('/spire/server', '/alias', { selectors: [{ type: 'tpm', value: 'pub_hash:aa' }] });
  await create('/alias', '/behind-alias', { selectors: unix('uid:8') });
  await create(banned.id.path, '/of-banned');
});
afterAll(() => resources.disposeAsync());

const run = async (...args: readonly string[]) =>
  await runCli(['server', 'entry', ...args, '-socketPath', server.running.socketPath]);
const explain = async (...args: readonly string[]) => {
  const { stdout, stderr } = await run('explain', ...args, '-output', 'json');
  expect(stderr).toBe('');
  return JSON.parse(stdout);
};
const pathsOf = (entries: readonly { entry: { spiffe_id: { path: string } } }[]) =>
  entries.map(({ entry }) => entry.spiffe_id.path);

describe('entry explain', () => {
  test('names the selector that a workload lacks, and the entry that it has', async () => {
    const { stdout, code } = await run('explain', '-agent', agent.spiffeId, '-selector', 'unix:uid:1000');
    expect(code).toBe(0);
    expect(stdout).toContain(`Agent                   : ${agent.spiffeId}\nState                   : attested\n`);
    expect(stdout).toContain('0 entries match, 4 others nearly\n');
    expect(stdout).toContain(`Entry ID                : ${webId}\n`);
    expect(stdout).toMatch(/Matches {17}: no\nLacks {19}: unix:path:\/usr\/bin\/web\n/);
    const elsewhere =
      /spiffe:\/\/example.org\/elsewhere\n(?:[^\n]+\n)*?Why not {17}: it is for agent (\S+) alone\n/.exec(stdout);
    expect(elsewhere?.[1]).toBe(other.spiffeId);
  });

  test('a workload with all selectors matches', async () => {
    const selectors = ['-selector', 'unix:uid:1000', '-selector', 'unix:path:/usr/bin/web'];
    const { entries } = await explain('-agent', agent.spiffeId, ...selectors);
    expect(entries[0]).toMatchObject({ matches: true, missing: [], entry: { spiffe_id: { path: '/web' } } });
  });

  test('shows the way from the agent to an entry below another one', async () => {
    const { stdout } = await run('explain', '-agent', agent.spiffeId, '-spiffeID', `${TD}/below`);
    expect(stdout).toContain(`Way                     : ${agent.spiffeId} > ${TD}/node-name\n`);
    expect(stdout).toContain('Matches                 : yes\n');
  });

  test('says what an agent lacks for an entry for nodes', async () => {
    const { stdout } = await run('explain', '-agent', agent.spiffeId, '-spiffeID', `${TD}/behind-alias`);
    expect(stdout).toContain(
      `Why not                 : entry ${aliasId} would give this agent the ID ${TD}/alias, and the agent lacks tpm:pub_hash:aa\n`,
    );
  });

  test('says that nobody has a parent', async () => {
    const { stdout } = await run('explain', '-spiffeID', `${TD}/orphan`);
    expect(stdout).toContain(
      `Why not                 : its parent ${TD}/nobody is no agent, and no entry for nodes gives`,
    );
  });

  test('knows whether an entry has reached its agent', async () => {
    await using fresh = resourcesOf(await attestByJoinToken(server));
    await create(fresh.agent.id.path, '/reach');
    const reachedBy = async () => (await explain('-spiffeID', `${TD}/reach`)).entries[0].holders[0].reached;
    expect(await reachedBy()).toBe('UNKNOWN');
    const sync = () => fresh.agent.client(EntryDefinition).getAuthorizedEntries({ outputMask: undefined });
    await sync();
    expect(await reachedBy()).toBe('REACHED');
    await create(fresh.agent.id.path, '/reach', { selectors: unix('uid:1') });
    const { entries } = await explain('-spiffeID', `${TD}/reach`, '-selector', 'unix:uid:1');
    expect(entries[0]).toMatchObject({ matches: true, holders: [{ reached: 'NOT_YET' }] });
    await sync();
    expect(await reachedBy()).toBe('REACHED');
  });

  test('tells of an agent that is banned, and of one that is none', async () => {
    const { stdout } = await run('explain', '-agent', banned.spiffeId);
    expect(stdout).toContain('State                   : banned: it gets nothing until');
    const unknown = await explain('-agent', `${TD}/spire/agent/x/nobody`);
    expect(unknown.agent).toMatchObject({ attested: false, watching: false, synced_at: '0' });
  });

  test('by selectors alone finds the entries of every agent', async () => {
    const { entries } = await explain('-selector', 'unix:uid:1000');
    expect(pathsOf(entries).slice(0, 1)).toEqual(['/elsewhere']);
    expect(pathsOf(entries)).toContain('/web');
  });

  test.each([
    ['nothing', [], 'give -spiffeID, -agent or -selector'],
    ['an agent ID that is none', ['-agent', `${TD}/web`], 'its path has to be below "/spire/agent/"'],
    ['a selector that is none', ['-selector', 'x'], 'has no colon'],
  ])('refuses %s', async (_what, args, message) => {
    const { code, stderr } = await run('explain', ...args);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(message) });
  });
});

describe('-dryRun', () => {
  const countEntries = async () => (await server.admin(EntryDefinition).countEntries({ filter: undefined })).count;

  test('of a creation shows who would gain, and creates nothing', async () => {
    const before = await countEntries();
    const flags = ['-parentID', `${TD}/node-name`, '-spiffeID', `${TD}/new`, '-selector', 'unix:uid:3'];
    const { code, stdout } = await run('create', ...flags, '-dryRun');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `Nothing was changed. 1 attested agent looked at.\n1 agent would gain ${TD}/new for unix:uid:3:\n  ${agent.spiffeId}\n`,
    });
    expect(await countEntries()).toBe(before);
  });

  test('of a deletion shows who would lose it and all below it', async () => {
    const before = await countEntries();
    const { stdout } = await run('delete', '-entryID', nodeNameId, '-dryRun', '-output', 'json');
    const { effects } = JSON.parse(stdout);
    expect(effects).toHaveLength(2);
    expect(pathsOf(effects).toSorted()).toEqual(['/below', '/node-name']);
    for (const effect of effects) {
      expect(effect).toMatchObject({ kind: 'LOSES', agents: [{ path: agent.id.path }], agent_count: 1 });
    }
    expect(await countEntries()).toBe(before);
    // Nobody was told anything else than before.
    const authorized = await agent.client(EntryDefinition).getAuthorizedEntries({ outputMask: undefined });
    expect(authorized.entries.map(({ spiffeId }) => spiffeId?.path)).toContain('/below');
  });

  test('of an entry for nodes that no agent is', async () => {
    const flags = ['-node', '-spiffeID', `${TD}/alias-2`, '-selector', 'tpm:pub_hash:bb'];
    const { stdout } = await run('create', ...flags, '-dryRun');
    expect(stdout).toBe('Nothing was changed. 0 attested agents looked at.\nNo agent would gain or lose anything\n');
  });

  test('of an update shows what changes form', async () => {
    const flags = ['-entryID', webId, '-parentID', agent.spiffeId, '-spiffeID', `${TD}/web`, '-selector', 'unix:uid:2'];
    const { stdout } = await run('update', ...flags, '-dryRun');
    expect(stdout).toContain(`1 agent would get in another form ${TD}/web for unix:uid:2:\n`);
  });

  test.each([
    [
      'an entry that exists',
      ['create', '-parentID', `${TD}/nobody`, '-spiffeID', `${TD}/orphan`, '-selector', 'unix:uid:0'],
      'AlreadyExists',
    ],
    [
      'a parent of another trust domain',
      ['create', '-parentID', 'spiffe://b.test/x', '-spiffeID', `${TD}/q`, '-selector', 'unix:uid:0'],
      'InvalidArgument',
    ],
    [
      'a trust domain without a bundle',
      ['create', '-parentID', `${TD}/x`, '-spiffeID', `${TD}/q`, '-selector', 'unix:uid:0', '-federatesWith', 'b.test'],
      'FailedPrecondition',
    ],
    ['the deletion of nothing', ['delete', '-entryID', 'nothing'], 'NotFound'],
  ])('says that %s would be refused', async (_what, args, name) => {
    const { code, stderr } = await run(...args, '-dryRun');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining(`Change 1 of 1 would be refused (code: ${name}, msg: `),
    });
  });
});

function resourcesOf(attested: AgentCaller) {
  return { agent: attested, [Symbol.asyncDispose]: async () => attested[Symbol.dispose]() };
}

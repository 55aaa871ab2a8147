import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type WatchChangesResponse, WatchDefinition } from '../../../src/gen/assayer/server/watch/v1/watch.ts';
import { AgentDefinition } from '../../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../../src/gen/spire/api/server/entry/v1/entry.ts';
import {
  Entry,
  EntryMask,
  PermissionDeniedDetails,
  PermissionDeniedDetails_Reason as Reason,
} from '../../../src/gen/spire/api/types/types.ts';
import type { ServerStreamCall } from '../../../src/rpc/client.ts';
import { RemoteError } from '../../../src/rpc/status.ts';
import { Status } from '../../../src/spiffe/status.ts';
import { TestServer } from '../../harness/running-server.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';
import { type AgentCaller, apiId, attestByJoinToken, mintedCaller, renew, TlsCaller } from '../callers.ts';

const resources = new AsyncDisposableStack();
let server: TestServer;

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  const settings = 'experimental { agent_spiffe_id_as_selector = true }';
  server = resources.use(await TestServer.start({ folder: folder.path, settings }));
});
afterAll(() => resources.disposeAsync());

/** The stream of an agent, with its first answer taken. */
class Watching implements AsyncDisposable {
  readonly agent: AgentCaller;
  readonly #call: ServerStreamCall<WatchChangesResponse>;

  private constructor(agent: AgentCaller, call: ServerStreamCall<WatchChangesResponse>) {
    this.agent = agent;
    this.#call = call;
  }

  static async start(given?: AgentCaller): Promise<Watching> {
    const agent = given ?? (await attestByJoinToken(server));
    const call = agent.client(WatchDefinition).watchChanges({}, { deadlineMs: 60_000 });
    const first = await call.receive();
    expect(first).toMatchObject({ sequence: 1n, entries: false, bundles: false });
    return new Watching(agent, call);
  }

  /** The next answer. */
  async next(): Promise<WatchChangesResponse> {
    const answer = await this.#call.receive();
    if (answer === undefined) throw new Error('the stream ended');
    return answer;
  }

  /** What the stream ends with. */
  async end(): Promise<{ readonly status: number; readonly reason: Reason | undefined }> {
    try {
      while ((await this.#call.receive()) !== undefined);
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error;
      const [detail] = error.details;
      const reason = detail && PermissionDeniedDetails.decode(detail.value).reason;
      return { status: error.status, reason };
    }
    throw new Error('the stream ended without an error');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#call[Symbol.asyncDispose]();
    this.agent[Symbol.dispose]();
  }
}

const entry = (parent: string, path: string, more: Partial<Entry> = {}): Entry =>
  Entry.fromPartial({
    parentId: apiId(parent),
    spiffeId: apiId(path),
    selectors: [{ type: 'unix', value: 'uid:0' }],
    ...more,
  });

async function create(...entries: readonly Entry[]): Promise<readonly string[]> {
  const { results } = await server
    .admin(EntryDefinition)
    .batchCreateEntry({ entries: [...entries], outputMask: undefined });
  return results.map(({ status, entry: created }) => {
    if (status?.code !== Status.Ok || created === undefined) throw new Error(status?.message);
    return created.id;
  });
}

const remove = async (...ids: readonly string[]) => {
  await server.admin(EntryDefinition).batchDeleteEntry({ ids: [...ids] });
};

/** An entry for nodes that this agent is, by a join token's alias. */
const aliasOf = (agent: AgentCaller, path: string) =>
  entry('/spire/server', path, { selectors: [{ type: 'spiffe_id', value: agent.spiffeId }] });

describe('an agent that watches', () => {
  test('is told of its own entries as they come, change and go, each with the revision that a sync then has', async () => {
    await using watching = await Watching.start();
    const { agent } = watching;
    const [id = ''] = await create(entry(agent.id.path, '/web'));
    const created = await watching.next();
    expect(created).toMatchObject({
      sequence: 2n,
      entries: true,
      bundles: false,
      entryIds: [id],
      heartbeatSeconds: 30,
    });
    const { entries } = await agent.client(EntryDefinition).getAuthorizedEntries({ outputMask: undefined });
    expect(entries.map((one) => one.id)).toEqual([id]);

    const changed = entry(agent.id.path, '/web', { id, hint: 'other' });
    await server
      .admin(EntryDefinition)
      .batchUpdateEntry({ entries: [changed], inputMask: undefined, outputMask: undefined });
    const updated = await watching.next();
    expect(updated).toMatchObject({ sequence: 3n, entries: true, entryIds: [id] });
    await remove(id);
    const deleted = await watching.next();
    expect(deleted).toMatchObject({ sequence: 4n, entries: true, entryIds: [id] });
    const revisions = [created, updated, deleted].map(({ entryRevision }) => entryRevision);
    expect(revisions).toEqual([...revisions].sort());
    expect(new Set(revisions).size).toBe(3);
  });

  test('is told of what is below what is below it, and of nothing of another agent', async () => {
    await using watching = await Watching.start();
    await using other = await Watching.start();
    const [top = ''] = await create(entry(watching.agent.id.path, '/a-1'));
    expect(await watching.next()).toMatchObject({ entryIds: [top] });
    const [second] = await create(entry('/a-1', '/a-2'));
    expect(await watching.next()).toMatchObject({ entryIds: [second] });
    const [third] = await create(entry('/a-2', '/a-3'));
    expect(await watching.next()).toMatchObject({ entryIds: [third] });
    await remove(top); // and what is below it, which is not named
    expect(await watching.next()).toMatchObject({ entries: true, entryIds: [] });
    await create(entry(watching.agent.id.path, '/a-1'));
    expect(await watching.next()).toMatchObject({ entries: true, entryIds: [] });
    await create(entry('/nobody', '/a-4'));
    // The other one's first news are of its own entry.
    await create(entry(other.agent.id.path, '/b-1'));
    expect(await other.next()).toMatchObject({ sequence: 2n, entries: true });
  });

  test('is told of an entry for nodes that its selectors match, and of what is below that', async () => {
    await using watching = await Watching.start();
    await using other = await Watching.start();
    const [aliasId = ''] = await create(aliasOf(watching.agent, '/alias'));
    expect(await watching.next()).toMatchObject({ sequence: 2n, entries: true, entryIds: [] });
    const [below] = await create(entry('/alias', '/below-alias'));
    expect(await watching.next()).toMatchObject({ sequence: 3n, entries: true, entryIds: [below] });
    await remove(aliasId);
    expect(await watching.next()).toMatchObject({ sequence: 4n, entries: true });
    await create(aliasOf(other.agent, '/other-alias'));
    expect(await other.next()).toMatchObject({ sequence: 2n, entries: true });
  });

  test('is told the ids of what changed before its next answer, or, of too many, that it may be anything', async () => {
    await using watching = await Watching.start();
    const path = watching.agent.id.path;
    const many = (count: number, from = 0) =>
      Array.from({ length: count }, (_, index) => entry(path, `/many-${from + index}`));
    const ids = await create(...many(500));
    expect((await watching.next()).entryIds.toSorted()).toEqual(ids.toSorted());
    const more = await create(...many(501, 500));
    expect(await watching.next()).toMatchObject({ entries: true, entryIds: [] });
    await remove(...ids, ...more);
  });

  test('finds, of the entries that it names, those that it may sign for', async () => {
    await using watching = await Watching.start();
    await using other = await Watching.start();
    const [own = '', gone = ''] = await create(
      entry(watching.agent.id.path, '/own', { hint: 'mine' }),
      entry(watching.agent.id.path, '/gone'),
    );
    const [foreign = ''] = await create(entry(other.agent.id.path, '/foreign'));
    await remove(gone);
    const client = watching.agent.client(WatchDefinition);
    const ids = [own, own, gone, foreign, 'nothing', ''];
    const { entries } = await client.findEntries({ ids, outputMask: EntryMask.fromPartial({ hint: true }) });
    expect(entries).toEqual([Entry.fromPartial({ id: own, hint: 'mine' })]);
    const tooMany = Array.from({ length: 501 }, String);
    await expect(client.findEntries({ ids: tooMany, outputMask: undefined })).rejects.toMatchObject({
      status: Status.InvalidArgument,
      message: expect.stringContaining('501 entries are named: 500 at most'),
    });
  });

  test('is told that another bundle of a trust domain is there which its entries federate with', async () => {
    await using watching = await Watching.start();
    await using other = await Watching.start();
    const bundles = server.admin(BundleDefinition);
    const set = async (refreshHint: bigint) => {
      const own = await bundles.getBundle({ outputMask: undefined });
      const federated = { ...own, trustDomain: 'watched.test', jwtAuthorities: [], refreshHint };
      await bundles.batchSetFederatedBundle({ bundle: [federated], outputMask: undefined });
    };
    await set(60n);
    await create(entry(watching.agent.id.path, '/federates', { federatesWith: ['watched.test'] }));
    expect(await watching.next()).toMatchObject({ entries: true });
    await set(90n);
    expect(await watching.next()).toMatchObject({ entries: false, bundles: true });
    await create(entry(other.agent.id.path, '/does-not'));
    expect(await other.next()).toMatchObject({ sequence: 2n, entries: true, bundles: false });
  });

  test('is told where a batch of many changes is one answer', async () => {
    await using watching = await Watching.start();
    const { path } = watching.agent.id;
    const ids = await create(...Array.from({ length: 50 }, (_, n) => entry(path, `/batch/${n}`)));
    expect(await watching.next()).toMatchObject({ sequence: 2n });
    await remove(...ids);
    const told = await watching.next();
    const { entries } = await watching.agent.client(EntryDefinition).getAuthorizedEntries({ outputMask: undefined });
    expect(told.entries).toBe(true);
    expect(entries).toEqual([]);
  });

  test('is told that it is banned at once, however close to the beginning of its watch that was', async () => {
    const agents = await Promise.all(Array.from({ length: 10 }, () => attestByJoinToken(server)));
    const ends = agents.map(async (agent) => {
      const call = agent.client(WatchDefinition).watchChanges({}, { deadlineMs: 20_000 }); // a heartbeat takes 30 s
      const banned = server.admin(AgentDefinition).banAgent({ id: agent.id });
      const whole = async () => {
        while ((await call.receive()) !== undefined);
      };
      await expect(whole()).rejects.toMatchObject({ status: Status.PermissionDenied });
      await banned;
      agent[Symbol.dispose]();
    });
    await Promise.all(ends);
  });

  test('is told that it is banned', async () => {
    await using watching = await Watching.start();
    await server.admin(AgentDefinition).banAgent({ id: watching.agent.id });
    expect(await watching.end()).toEqual({ status: Status.PermissionDenied, reason: Reason.AGENT_BANNED });
  });

  test('is told that it was evicted', async () => {
    await using watching = await Watching.start();
    await server.admin(AgentDefinition).deleteAgent({ id: watching.agent.id });
    expect(await watching.end()).toEqual({ status: Status.PermissionDenied, reason: Reason.AGENT_NOT_ATTESTED });
  });

  test('is told that its SVID was renewed once the new one is used', async () => {
    await using watching = await Watching.start();
    using renewed = await renew(server, watching.agent);
    await renewed.client(EntryDefinition).getAuthorizedEntries({ outputMask: undefined });
    expect(await watching.end()).toEqual({ status: Status.PermissionDenied, reason: Reason.AGENT_NOT_ACTIVE });
  });

  test('has one stream: the newest', async () => {
    await using first = await Watching.start();
    await using second = await Watching.start(first.agent);
    expect(await first.end()).toMatchObject({ status: Status.Aborted });
    await create(entry(first.agent.id.path, '/one-stream'));
    expect(await second.next()).toMatchObject({ entries: true });
  });
});

test.each([
  ['nobody', async () => new TlsCaller(server)],
  ['a workload', async () => await mintedCaller(server, '/workload')],
])('%s does not watch', async (_who, connect) => {
  using caller = await connect();
  const call = caller.client(WatchDefinition).watchChanges({}, { deadlineMs: 20_000 });
  await expect(call.receive()).rejects.toMatchObject({ status: Status.PermissionDenied });
});

test('nor does whoever is on the admin socket', async () => {
  const call = server.admin(WatchDefinition).watchChanges({}, { deadlineMs: 20_000 });
  await expect(call.receive()).rejects.toMatchObject({ status: Status.PermissionDenied });
});

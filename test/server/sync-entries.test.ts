import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EntryDefinition, type SyncAuthorizedEntriesResponse } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry, EntryMask } from '../../src/gen/spire/api/types/types.ts';
import { Status } from '../../src/spiffe/status.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { apiId, attestByJoinToken } from './callers.ts';

const resources = new AsyncDisposableStack();
const outputMask = undefined;
/** More than are sent whole at once. */
const MANY = 1_201;
let server: TestServer;
let agent: Awaited<ReturnType<typeof attestByJoinToken>>;
let ids: string[];

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path }));
  agent = resources.use(await attestByJoinToken(server));
  const wanted = Array.from({ length: MANY }, (_, n) =>
    Entry.fromPartial({
      spiffeId: apiId(`/w/${n}`),
      parentId: apiId(agent.id.path),
      selectors: [{ type: 'unix', value: `uid:${n}` }],
    }),
  );
  const { results } = await server.admin(EntryDefinition).batchCreateEntry({ entries: wanted, outputMask });
  ids = results.flatMap(({ entry }) => entry?.id ?? []).sort();
});
afterAll(() => resources.disposeAsync());

const sync = () => agent.client(EntryDefinition).syncAuthorizedEntries();
async function receiveAll(
  receive: () => Promise<SyncAuthorizedEntriesResponse | undefined>,
): Promise<readonly SyncAuthorizedEntriesResponse[]> {
  const answers: SyncAuthorizedEntriesResponse[] = [];
  for (let more = true; more; ) {
    const answer = await receive();
    if (answer === undefined) throw new Error('the stream ended');
    answers.push(answer);
    more = answer.more;
  }
  return answers;
}

describe('SyncAuthorizedEntries of many entries', () => {
  test('sends the revisions of all in their order, then what is asked for by id, as the mask has it', async () => {
    await using call = sync();
    const mask = EntryMask.create({ spiffeId: true, revisionNumber: true });
    await call.send({ outputMask: mask, ids: [] });
    const revisions = await receiveAll(() => call.receive());
    expect(revisions.flatMap(({ entryRevisions }) => entryRevisions.map(({ id }) => id))).toEqual(ids);
    const asked = [ids[1_000], 'unknown', ids[3], ids[3]].flatMap((id) => id ?? []);
    await call.send({ outputMask: undefined, ids: asked });
    const [answer] = await receiveAll(() => call.receive());
    expect(answer?.entries.map(({ id }) => id)).toEqual([ids[1_000], ids[3]]);
    for (const entry of answer?.entries ?? []) {
      expect(entry).toEqual(Entry.fromPartial({ id: entry.id, spiffeId: entry.spiffeId ?? {} }));
      expect(entry.spiffeId?.path).toMatch(/^\/w\//);
    }
  });

  test('splits what is asked for into pages', async () => {
    await using call = sync();
    await call.send({ outputMask, ids: [] });
    await receiveAll(() => call.receive());
    await call.send({ outputMask, ids });
    const answers = await receiveAll(() => call.receive());
    expect(answers.map(({ entries, more }) => [entries.length, more])).toEqual([
      [500, true],
      [500, true],
      [MANY - 1_000, false],
    ]);
    expect(answers.flatMap(({ entries }) => entries.map(({ id }) => id))).toEqual(ids);
  });

  test('tells of an update and of a deletion in the next sync', async () => {
    const admin = server.admin(EntryDefinition);
    const [updated, deleted] = ids;
    const [before] = (await agent.client(EntryDefinition).getAuthorizedEntries({ outputMask })).entries;
    expect(before).toMatchObject({ id: updated, hint: '' });
    await admin.batchUpdateEntry({
      entries: [Entry.fromPartial({ id: updated ?? '', hint: 'new' })],
      inputMask: EntryMask.create({ hint: true }),
      outputMask,
    });
    await admin.batchDeleteEntry({ ids: [deleted ?? ''] });
    await using call = sync();
    await call.send({ outputMask, ids: [] });
    const [{ entryRevisions } = { entryRevisions: [] }] = await receiveAll(() => call.receive());
    expect(entryRevisions[0]).toMatchObject({ id: updated, revisionNumber: 1n });
    expect(entryRevisions.map(({ id }) => id)).toEqual(ids.filter((id) => id !== deleted));
    const { entries } = await agent.client(EntryDefinition).getAuthorizedEntries({ outputMask });
    expect(entries[0]).toMatchObject({ id: updated, hint: 'new' });
    const { entries: listed } = await admin.listEntries({ filter: undefined, outputMask, pageSize: 0, pageToken: '' });
    expect(listed).toEqual(entries);
  });

  test.each([
    ['names ids at once', { outputMask, ids: ['x'] }],
    ['masks the revision', { outputMask: EntryMask.create({ spiffeId: true }), ids: [] }],
  ])('refuses a first request that %s', async (_what, request) => {
    await using call = sync();
    await call.send(request);
    await expect(call.receive()).rejects.toMatchObject({ status: Status.InvalidArgument });
  });
});

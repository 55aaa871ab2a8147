import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  EntryDefinition,
  type ListEntriesRequest_Filter as Filter,
} from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry, EntryMask, SelectorMatch_MatchBehavior as Match } from '../../src/gen/spire/api/types/types.ts';
import { Status } from '../../src/spiffe/status.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { apiId, TRUST_DOMAIN } from './callers.ts';

const resources = new AsyncDisposableStack();
let server: TestServer;
const entries = () => server.admin(EntryDefinition);
const outputMask = undefined;

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path }));
});
afterAll(() => resources.disposeAsync());
beforeEach(async () => {
  const { entries: old } = await entries().listEntries(list({}));
  await entries().batchDeleteEntry({ ids: old.map(({ id }) => id) });
});

type Wanted = Parameters<typeof Entry.fromPartial>[0];
const newEntry = (changes: Wanted = {}) =>
  Entry.fromPartial({
    spiffeId: apiId('/web'),
    parentId: apiId('/node'),
    selectors: [{ type: 'unix', value: 'uid:0' }],
    ...changes,
  });
const NO_FILTER: Filter = {
  bySpiffeId: undefined,
  byParentId: undefined,
  bySelectors: undefined,
  byFederatesWith: undefined,
  byHint: undefined,
  byDownstream: undefined,
};
const list = (filter: Partial<Filter>, pageSize = 0, pageToken = '') => ({
  filter: { ...NO_FILTER, ...filter },
  outputMask,
  pageSize,
  pageToken,
});
const create = async (...wanted: readonly Entry[]) =>
  (await entries().batchCreateEntry({ entries: [...wanted], outputMask })).results;
const created = async (wanted: Entry): Promise<Entry> => {
  const [result] = await create(wanted);
  if (result?.entry === undefined) throw new Error(result?.status?.message);
  return result.entry;
};
const wrong = Status.InvalidArgument;

describe('BatchCreateEntry', () => {
  test('stores every field and answers with it', async () => {
    const full = newEntry({
      id: 'my-id_1.2',
      x509SvidTtl: 60,
      jwtSvidTtl: 30,
      admin: true,
      downstream: true,
      expiresAt: 4_000_000_000n,
      dnsNames: ['web', '*.web.example'],
      storeSvid: false,
      hint: 'front',
      additionalAttributes: { jwtSvidIncludeJti: true, disableX509SvidPrefetch: true },
    });
    const entry = await created(full);
    expect(entry).toEqual({ ...full, revisionNumber: 0n, createdAt: entry.createdAt });
    expect(Math.abs(Number(entry.createdAt) - Date.now() / 1000)).toBeLessThan(60);
    expect(await entries().getEntry({ id: full.id, outputMask })).toEqual(entry);
  });

  test('gives an id, and the similar entry where there is one', async () => {
    const [first, same] = await create(newEntry(), newEntry({ x509SvidTtl: 99 }));
    expect(first).toMatchObject({ status: { code: Status.Ok, message: 'OK' } });
    expect(same).toMatchObject({ status: { code: Status.AlreadyExists }, entry: first?.entry });
  });

  test.each<readonly [string, Wanted, number]>([
    ['no SPIFFE ID', { spiffeId: undefined }, wrong],
    ['no parent', { parentId: undefined }, wrong],
    ['a foreign SPIFFE ID', { spiffeId: { trustDomain: 'other.org', path: '/web' } }, wrong],
    ['a foreign parent', { parentId: { trustDomain: 'other.org', path: '/node' } }, wrong],
    ['a SPIFFE ID without a path', { spiffeId: apiId('') }, wrong],
    ['a parent without a path', { parentId: apiId('') }, wrong],
    ['a path without its slash', { spiffeId: apiId('web') }, wrong],
    ['a reserved SPIFFE ID', { spiffeId: apiId('/spire/server') }, wrong],
    ['a path with a dot segment', { spiffeId: apiId('/a/../b') }, wrong],
    ['an upper-case trust domain', { spiffeId: { trustDomain: 'Example.org', path: '/web' } }, wrong],
    ['no selectors', { selectors: [] }, wrong],
    ['a selector without a type', { selectors: [{ type: '', value: 'x' }] }, wrong],
    ['a selector without a value', { selectors: [{ type: 'unix', value: '' }] }, wrong],
    ['a selector type with a colon', { selectors: [{ type: 'a:b', value: 'x' }] }, wrong],
    ['a wrong DNS name', { dnsNames: ['not a name'] }, wrong],
    ['a negative X.509 TTL', { x509SvidTtl: -1 }, wrong],
    ['a negative JWT TTL', { jwtSvidTtl: -1 }, wrong],
    ['a negative expiry', { expiresAt: -1n }, wrong],
    ['an expiry past all numbers', { expiresAt: 2n ** 62n }, wrong],
    ['an id with a space', { id: 'my id' }, wrong],
    ['an id of 256 characters', { id: 'a'.repeat(256) }, wrong],
    ['a hint of 1025 bytes', { hint: 'a'.repeat(1025) }, wrong],
    ['a wrong federated trust domain', { federatesWith: ['Not One'] }, wrong],
    ['a federated trust domain without a bundle', { federatesWith: ['other.org'] }, Status.FailedPrecondition],
    [
      'selectors of two types to store',
      {
        storeSvid: true,
        selectors: [
          { type: 'a', value: '1' },
          { type: 'b', value: '1' },
        ],
      },
      wrong,
    ],
  ])('refuses %s, and that alone', async (_what, changes, code) => {
    const results = await create(newEntry({ spiffeId: apiId('/before') }), newEntry(changes), newEntry());
    expect(results.map(({ status }) => status?.code)).toEqual([Status.Ok, code, Status.Ok]);
    expect(results[1]?.entry).toBeUndefined();
    expect(results[1]?.status?.message).toMatch(/[^.]$/);
    expect(await entries().countEntries({ filter: undefined })).toEqual({ count: 2 });
  });

  test('refuses an id that is in use', async () => {
    const results = await create(newEntry({ id: 'one' }), newEntry({ id: 'one', spiffeId: apiId('/other') }));
    expect(results.map(({ status }) => status?.code)).toEqual([Status.Ok, Status.AlreadyExists]);
  });

  test('an empty batch is nothing', async () => {
    expect(await create()).toEqual([]);
  });
});

describe('masks', () => {
  const everyField = Object.keys(EntryMask.create()).filter((field) => field !== 'id');
  test.each(everyField)('only the id and %s are shown', async (field) => {
    const { id } = await created(
      newEntry({
        x509SvidTtl: 60,
        jwtSvidTtl: 30,
        admin: true,
        downstream: true,
        expiresAt: 4_000_000_000n,
        dnsNames: ['web'],
        storeSvid: true,
        hint: 'front',
      }),
    );
    const whole = await entries().getEntry({ id, outputMask });
    const shown = await entries().getEntry({ id, outputMask: EntryMask.fromPartial({ [field]: true }) });
    const wanted = Object.entries(whole).filter(([key]) => key === field);
    expect(shown).toEqual(Entry.create({ id, ...Object.fromEntries(wanted) }));
    const { entries: listed } = await entries().listEntries({
      ...list({}),
      outputMask: EntryMask.fromPartial({ [field]: true }),
    });
    expect(listed).toEqual([shown]);
  });
});

describe('GetEntry', () => {
  test.each([
    ['', Status.InvalidArgument],
    ['unknown', Status.NotFound],
    ['x'.repeat(100_000), Status.NotFound],
    ['\0', Status.NotFound],
  ])('refuses %j', async (id, status) => {
    await expect(entries().getEntry({ id, outputMask })).rejects.toMatchObject({ status });
  });
});

describe('ListEntries and CountEntries', () => {
  beforeEach(async () => {
    const selectors = (...values: string[]) => values.map((value) => ({ type: 'unix', value }));
    const results = await create(
      newEntry({ id: 'a', selectors: selectors('1'), hint: 'h' }),
      newEntry({ id: 'b', spiffeId: apiId('/db'), selectors: selectors('1', '2'), downstream: true }),
      newEntry({ id: 'c', parentId: apiId('/other'), selectors: selectors('2', '3') }),
    );
    expect(results.map(({ status }) => status?.code)).toEqual([0, 0, 0]);
  });
  const bySelectors = (match: Match, ...values: string[]): Partial<Filter> => ({
    bySelectors: { match, selectors: values.map((value) => ({ type: 'unix', value })) },
  });

  test.each<readonly [string, Partial<Filter>, readonly string[]]>([
    ['nothing', {}, ['a', 'b', 'c']],
    ['SPIFFE ID', { bySpiffeId: apiId('/web') }, ['a', 'c']],
    ['parent', { byParentId: apiId('/other') }, ['c']],
    ['hint', { byHint: 'h' }, ['a']],
    ['an empty hint, which is none', { byHint: '' }, ['a', 'b', 'c']],
    ['downstream', { byDownstream: true }, ['b']],
    ['not downstream', { byDownstream: false }, ['a', 'c']],
    ['exact selectors', bySelectors(Match.MATCH_EXACT, '2', '1'), ['b']],
    ['selectors among', bySelectors(Match.MATCH_SUBSET, '1', '2'), ['a', 'b']],
    ['selectors with', bySelectors(Match.MATCH_SUPERSET, '2'), ['b', 'c']],
    ['any of the selectors', bySelectors(Match.MATCH_ANY, '1', '3'), ['a', 'b', 'c']],
    ['two filters', { bySpiffeId: apiId('/web'), byParentId: apiId('/node') }, ['a']],
    ['federated trust domains', { byFederatesWith: { match: Match.MATCH_ANY, trustDomains: ['other.org'] } }, []],
  ])('by %s', async (_what, filter, ids) => {
    const { entries: found, nextPageToken } = await entries().listEntries(list(filter));
    expect(found.map(({ id }) => id)).toEqual(ids);
    expect(nextPageToken).toBe('');
    expect(await entries().countEntries({ filter: { ...NO_FILTER, ...filter } })).toEqual({ count: ids.length });
  });

  test.each<readonly [string, Partial<Filter>]>([
    ['no selectors', bySelectors(Match.MATCH_ANY)],
    ['a selector without a value', bySelectors(Match.MATCH_ANY, '')],
    ['an unknown match', { bySelectors: { match: 9 as Match, selectors: [{ type: 'a', value: 'b' }] } }],
    ['no trust domains', { byFederatesWith: { match: Match.MATCH_ANY, trustDomains: [] } }],
    ['a wrong trust domain', { byFederatesWith: { match: Match.MATCH_ANY, trustDomains: ['%'] } }],
    ['a foreign SPIFFE ID', { bySpiffeId: { trustDomain: 'other.org', path: '/web' } }],
    ['a reserved SPIFFE ID', { bySpiffeId: apiId('/spire/server') }],
    ['a parent without a path', { byParentId: apiId('') }],
    ['a foreign parent', { byParentId: { trustDomain: 'other.org', path: '/web' } }],
  ])('refuses a filter with %s', async (_what, filter) => {
    await expect(entries().listEntries(list(filter))).rejects.toMatchObject({ status: wrong });
    await expect(entries().countEntries({ filter: { ...NO_FILTER, ...filter } })).rejects.toMatchObject({
      status: wrong,
    });
  });

  test('pages follow one another', async () => {
    const ids: string[][] = [];
    let token = '';
    do {
      const page = await entries().listEntries(list({}, 2, token));
      ids.push(page.entries.map(({ id }) => id));
      token = page.nextPageToken;
    } while (token !== '');
    expect(ids).toEqual([['a', 'b'], ['c']]);
  });

  test('a page as long as the list is the last, and a page may be asked larger than any', async () => {
    for (const size of [3, 2_000_000_000]) {
      expect(await entries().listEntries(list({}, size))).toMatchObject({ nextPageToken: '', entries: { length: 3 } });
    }
  });

  test.each(['!', 'x', 'AAAA', 'a'.repeat(5000)])('refuses the page token %j', async (token) => {
    await expect(entries().listEntries(list({}, 2, token))).rejects.toMatchObject({ status: wrong });
  });
});

describe('BatchUpdateEntry', () => {
  const update = async (entry: Entry, inputMask?: EntryMask, mask?: EntryMask) =>
    (await entries().batchUpdateEntry({ entries: [entry], inputMask, outputMask: mask })).results;

  test('without a mask replaces all', async () => {
    const { id, createdAt } = await created(newEntry({ hint: 'old', admin: true }));
    const changed = newEntry({ id, spiffeId: apiId('/new'), dnsNames: ['new'] });
    const [result] = await update(changed);
    const none = { disableX509SvidPrefetch: false, jwtSvidIncludeJti: false };
    expect(result).toEqual({
      status: { code: Status.Ok, message: 'OK' },
      entry: { ...changed, createdAt, revisionNumber: 1n, additionalAttributes: none },
    });
  });

  test.each<readonly [keyof EntryMask, Wanted]>([
    ['spiffeId', { spiffeId: apiId('/new') }],
    ['parentId', { parentId: apiId('/new') }],
    ['selectors', { selectors: [{ type: 'k8s', value: 'x' }] }],
    ['x509SvidTtl', { x509SvidTtl: 5 }],
    ['jwtSvidTtl', { jwtSvidTtl: 5 }],
    ['admin', { admin: true }],
    ['downstream', { downstream: true }],
    ['expiresAt', { expiresAt: 4_000_000_001n }],
    ['dnsNames', { dnsNames: ['new'] }],
    ['storeSvid', { storeSvid: true }],
    ['hint', { hint: 'new' }],
    ['additionalAttributes', { additionalAttributes: { disableX509SvidPrefetch: true, jwtSvidIncludeJti: true } }],
  ])('with the mask %s changes that alone', async (field, changes) => {
    const before = await created(newEntry({ hint: 'old', dnsNames: ['old'] }));
    const { id } = before;
    const [result] = await update(Entry.fromPartial({ id, ...changes }), EntryMask.fromPartial({ [field]: true }));
    expect(result?.entry).toEqual({ ...before, ...changes, revisionNumber: 1n });
    expect(await entries().getEntry({ id, outputMask })).toEqual(result?.entry);
  });

  test('shows what the output mask names', async () => {
    const { id } = await created(newEntry());
    const [result] = await update(newEntry({ id, hint: 'new' }), undefined, EntryMask.fromPartial({ hint: true }));
    expect(result?.entry).toEqual(Entry.create({ id, hint: 'new' }));
  });

  test.each<readonly [string, (entry: Entry) => Entry, EntryMask | undefined, number]>([
    ['an unknown id', (entry) => ({ ...entry, id: 'unknown' }), undefined, Status.NotFound],
    ['no id', (entry) => ({ ...entry, id: '' }), undefined, wrong],
    ['no selectors', (entry) => ({ ...entry, selectors: [] }), undefined, wrong],
    ['no parent', (entry) => ({ ...entry, parentId: undefined }), undefined, wrong],
    [
      'a masked wrong DNS name',
      ({ id }) => Entry.fromPartial({ id, dnsNames: ['%'] }),
      EntryMask.fromPartial({ dnsNames: true }),
      wrong,
    ],
    ['what another entry is', (entry) => ({ ...entry, spiffeId: apiId('/taken') }), undefined, Status.AlreadyExists],
  ])('refuses %s', async (_what, change, mask, code) => {
    await create(newEntry({ spiffeId: apiId('/taken') }));
    const entry = await created(newEntry());
    const [result] = await update(change(entry), mask);
    expect(result).toMatchObject({ status: { code }, entry: undefined });
    expect(await entries().getEntry({ id: entry.id, outputMask })).toEqual(entry);
  });
});

test('BatchDeleteEntry deletes each that exists', async () => {
  const { id } = await created(newEntry());
  const { results } = await entries().batchDeleteEntry({ ids: ['', 'unknown', id, id] });
  expect(results.map(({ id, status }) => [id, status?.code])).toEqual([
    ['', wrong],
    ['unknown', Status.NotFound],
    [id, Status.Ok],
    [id, Status.NotFound],
  ]);
  expect(await entries().countEntries({ filter: undefined })).toEqual({ count: 0 });
});

test('a thousand entries in one batch, listed in whole and in pages', async () => {
  const wanted = Array.from({ length: 1000 }, (_, n) => newEntry({ spiffeId: apiId(`/w/${n}`) }));
  const results = await create(...wanted);
  expect(new Set(results.map(({ status }) => status?.code))).toEqual(new Set([Status.Ok]));
  expect(results.map(({ entry }) => entry?.spiffeId?.path)).toEqual(wanted.map(({ spiffeId }) => spiffeId?.path));
  expect((await entries().listEntries(list({}))).entries).toHaveLength(1000);
  const first = await entries().listEntries(list({ bySpiffeId: { trustDomain: TRUST_DOMAIN, path: '/w/7' } }, 1));
  expect(first).toMatchObject({ entries: [{ spiffeId: { path: '/w/7' } }], nextPageToken: '' });
});

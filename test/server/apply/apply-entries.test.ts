import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Datastore } from '../../../src/datastore/datastore.ts';
import type { NewEntry } from '../../../src/datastore/entry-repository.ts';
import { applyEntries } from '../../../src/server/apply/apply-entries.ts';
import { engines, type TestDatabase } from '../../datastore/engines.ts';
import { id, newEntry, selectors } from '../../datastore/fixtures.ts';

const entry = (name: string, changes: Partial<NewEntry> = {}): NewEntry => newEntry({ spiffeId: id(name), ...changes });
const OPTIONS = { set: 'a', prune: false, adopt: false, dryRun: false };

describe.each(engines)('apply on $name', (engine) => {
  let database: TestDatabase;
  let datastore: Datastore;
  beforeEach(async () => {
    database = await engine.create();
    datastore = await database.open();
  });
  afterEach(() => database[Symbol.asyncDispose]());

  const apply = async (wanted: readonly NewEntry[], options: Partial<typeof OPTIONS> = {}) =>
    await applyEntries(wanted, { ...OPTIONS, ...options }, (work) => datastore.transaction(work));
  const summary = async (...parameters: Parameters<typeof apply>) => {
    const { changes, unchanged, notPruned, problems } = await apply(...parameters);
    return [
      ...changes.map(({ kind, before, after, fields }) =>
        [kind, (after ?? before)?.spiffeId.split('/').at(-1), ...fields].join(' '),
      ),
      ...problems.map(({ index, message }) => `problem ${index}: ${message}`),
      `${unchanged} unchanged, ${notPruned} not pruned`,
    ];
  };
  const names = async () =>
    (await datastore.entries.list()).items.map(({ spiffeId }) => spiffeId.split('/').at(-1)).sort();

  test('creates, and the second time there is nothing to do', async () => {
    expect(await summary([entry('x'), entry('y')])).toEqual(['create x', 'create y', '0 unchanged, 0 not pruned']);
    expect(await summary([entry('y'), entry('x')])).toEqual(['2 unchanged, 0 not pruned']);
    const { items } = await datastore.entries.list();
    expect(items.map(({ revisionNumber }) => revisionNumber)).toEqual([0, 0]);
  });

  test('updates what differs, by parent ID, SPIFFE ID and selectors, or by ID', async () => {
    await apply([entry('x', { selectors: selectors('unix:uid:1', 'unix:gid:1') }), entry('y', { id: 'fixed' })]);
    const x = entry('x', { selectors: selectors('unix:gid:1', 'unix:uid:1'), hint: 'h', dnsNames: ['a.test'] });
    const y = entry('z', { id: 'fixed', selectors: selectors('unix:uid:9') });
    expect(await summary([x, y])).toEqual([
      'update x dns_names hint',
      'update z spiffe_id selectors',
      '0 unchanged, 0 not pruned',
    ]);
    expect(await datastore.entries.get('fixed')).toMatchObject({ spiffeId: id('z'), revisionNumber: 1 });
  });

  test('prunes what is of the set alone', async () => {
    await datastore.entries.create(entry('by-hand'));
    await apply([entry('x'), entry('y')]);
    await apply([entry('other')], { set: 'b' });
    expect(await summary([entry('x')])).toEqual(['1 unchanged, 1 not pruned']);
    expect(await summary([entry('x')], { prune: true })).toEqual(['delete y', '1 unchanged, 0 not pruned']);
    expect(await names()).toEqual(['by-hand', 'other', 'x']);
    expect(await summary([], { prune: true })).toEqual(['delete x', '0 unchanged, 0 not pruned']);
  });

  test('neither changes nor takes what was made by hand, unless it is told to', async () => {
    const { entry: own } = await datastore.entries.create(entry('x', { hint: 'mine' }));
    const problem = `problem 1: entry "${own.id}" was not made from files: delete it, or take it into the set with -adopt`;
    expect(await summary([entry('new'), entry('x')])).toEqual([problem, '0 unchanged, 0 not pruned']);
    expect(await names()).toEqual(['x']);
    expect(await summary([entry('new'), entry('x')], { adopt: true })).toEqual([
      'create new',
      'adopt x hint',
      '0 unchanged, 0 not pruned',
    ]);
    expect(await summary([entry('new'), entry('x')])).toEqual(['2 unchanged, 0 not pruned']);
    expect(await datastore.entries.get(own.id)).toMatchObject({ hint: '' });
  });

  test('never takes what is of another set', async () => {
    await apply([entry('x', { id: 'fixed' })], { set: 'b' });
    const problem = 'entry "fixed" is of the set "b": leave it to that one, or delete it there';
    expect(await summary([entry('x')], { adopt: true })).toEqual([
      `problem 0: ${problem}`,
      '0 unchanged, 0 not pruned',
    ]);
    expect(await summary([entry('q', { id: 'fixed' })])).toEqual([
      `problem 0: ${problem}`,
      '0 unchanged, 0 not pruned',
    ]);
  });

  test('an entry that was deleted by hand and made anew is nobody’s', async () => {
    await apply([entry('x')]);
    const [first] = (await datastore.entries.list()).items;
    await datastore.entries.delete(first?.id ?? '');
    await datastore.entries.create(entry('x'));
    expect((await apply([entry('x')])).problems).toHaveLength(1);
    expect(await summary([], { prune: true })).toEqual(['0 unchanged, 0 not pruned']);
    expect(await names()).toEqual(['x']);
  });

  test.each([
    ['twice the same', [entry('x'), entry('x')], /given twice: entry 1 has the same/],
    ['twice an ID', [entry('x', { id: 'i' }), entry('y', { id: 'i' })], /given twice: entry 1/],
    ['an ID of another entry', [entry('free'), entry('taken', { id: 'other' })], /entry "taken" has its parent ID/],
    ['an update to what another entry has', [entry('taken', { id: 'second' })], /entry "taken" has its parent ID/],
  ])('refuses %s, and does nothing of the rest', async (_what, wanted, message) => {
    await apply([entry('taken', { id: 'taken' }), entry('second', { id: 'second' })]);
    const { problems, changes } = await apply(wanted);
    expect(changes).toEqual([]);
    expect(problems.map((problem) => problem.message).join('\n')).toMatch(message);
    expect(await names()).toEqual(['second', 'taken']);
  });

  test('what is pruned leaves its place to what is made', async () => {
    await apply([entry('x', { id: 'old' })]);
    expect(await summary([entry('x', { id: 'new' })], { prune: true })).toEqual([
      expect.stringMatching(
        /^problem 0: entry "old" has its parent ID, SPIFFE ID and selectors: give that ID, or none/,
      ),
      '0 unchanged, 0 not pruned',
    ]);
    await apply([entry('y', { id: 'other' })], { prune: true });
    expect(await summary([entry('x', { id: 'other' })], { prune: true })).toEqual([
      'update x spiffe_id',
      '0 unchanged, 0 not pruned',
    ]);
  });

  test('a dry run does nothing', async () => {
    await apply([entry('x')]);
    const wanted = [entry('x', { hint: 'h' }), entry('y')];
    expect(await summary(wanted, { dryRun: true })).toEqual(['update x hint', 'create y', '0 unchanged, 0 not pruned']);
    expect(await names()).toEqual(['x']);
  });

  test('two at once make what one of them made', async () => {
    const wanted = Array.from({ length: 20 }, (_, n) => entry(`w${n}`));
    const results = await Promise.all([apply(wanted), apply(wanted), apply(wanted.slice(5), { prune: true })]);
    expect(results.flatMap(({ problems }) => problems)).toEqual([]);
    const created = results.flatMap(({ changes }) => changes.filter(({ kind }) => kind === 'create'));
    const deleted = results.flatMap(({ changes }) => changes.filter(({ kind }) => kind === 'delete'));
    expect((await names()).length).toBe(created.length - deleted.length);
    expect(new Set(await names()).size).toBe((await names()).length);
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Datastore } from '../../../src/datastore/datastore.ts';
import type { EntryScope } from '../../../src/datastore/scope.ts';
import { findOutOfScope, isIdInScope } from '../../../src/server/authorization/scope.ts';
import { engines, type TestDatabase } from '../../datastore/engines.ts';
import { id, newAgent, newEntry, selectors } from '../../datastore/fixtures.ts';

const PATHS = ['ns/shop', 'ns/shop/web', 'ns/shopping', 'ns/shop-2/x', 'ns', 'ns/Shop/web', 'ns/sh_p/x', 'other'];
const PARENTS = ['spire/server', 'spire/agent/k8s/a', 'spire/agent/k8s/ab', 'spire/agent/k8s/a/b', 'node'];
const SELECTORS = [selectors('k8s:ns:shop'), selectors('k8s:ns:shop', 'unix:uid:0'), selectors('unix:uid:0')];

const all = (...paths: string[]) => paths.map(id);
const SCOPES: readonly (readonly [string, readonly EntryScope[]])[] = [
  ['everything', [{}]],
  ['nothing', []],
  ['a prefix, by whole segments', [{ spiffeId: { ids: [], prefixes: all('ns/shop') } }]],
  ['a prefix with what LIKE takes for a wildcard', [{ spiffeId: { ids: [], prefixes: all('ns/sh_p') } }]],
  ['a parent', [{ parent: { ids: all('spire/agent/k8s/a'), prefixes: [] } }]],
  ['parents below', [{ parent: { ids: all('node'), prefixes: all('spire/agent/k8s/a') } }]],
  ['no parent', [{ parent: { ids: [], prefixes: [] } }]],
  ['types of selectors', [{ selectorTypes: ['k8s'] }]],
  ['no type', [{ selectorTypes: [] }]],
  ['all conditions', [{ spiffeId: { ids: [], prefixes: all('ns') }, selectorTypes: ['unix'] }]],
  [
    'one of two scopes',
    [{ spiffeId: { ids: [], prefixes: all('other') } }, { parent: { ids: all('node'), prefixes: [] } }],
  ],
];

describe.each(engines)('a scope on $name', (engine) => {
  let database: TestDatabase;
  let datastore: Datastore;
  beforeAll(async () => {
    database = await engine.create();
    datastore = await database.open();
    const entries = PATHS.flatMap((path) =>
      PARENTS.flatMap((parent) =>
        SELECTORS.map((of) => newEntry({ spiffeId: id(path), parentId: id(parent), selectors: of })),
      ),
    );
    await datastore.entries.createMany(entries);
    for (const path of PARENTS.slice(1, 4)) await datastore.agents.create(newAgent({ spiffeId: id(path) }));
  });
  afterAll(() => database[Symbol.asyncDispose]());

  test.each(SCOPES)('of %s is the same for a query and for one entry', async (_what, scopes) => {
    const { items } = await datastore.entries.list();
    const expected = items.filter((entry) => scopes.some((scope) => findOutOfScope(entry, scope) === undefined));
    expect((await datastore.entries.list({ scopes })).items).toEqual(expected);
    expect(await datastore.entries.count({ scopes })).toBe(expected.length);
  });

  test('holds on every page', async () => {
    const scopes = SCOPES[2]?.[1] ?? [];
    const whole = (await datastore.entries.list({ scopes })).items;
    const paged = [];
    for (let token = ''; ; ) {
      const page = await datastore.entries.list({ scopes }, { size: 4, token });
      paged.push(...page.items);
      token = page.nextPageToken;
      if (token === '') break;
    }
    expect(paged).toEqual(whole);
    expect(whole).toHaveLength(30);
  });

  test('of agents is by their SPIFFE ID', async () => {
    const scope = { ids: all('spire/agent/k8s/ab'), prefixes: all('spire/agent/k8s/a') };
    const { items } = await datastore.agents.list({ scopes: [scope] });
    expect(items.map(({ spiffeId }) => spiffeId)).toEqual(
      all('spire/agent/k8s/a', 'spire/agent/k8s/a/b', 'spire/agent/k8s/ab'),
    );
    expect(items.every(({ spiffeId }) => isIdInScope(spiffeId, scope))).toBe(true);
    expect(await datastore.agents.count({ scopes: [{ ids: [], prefixes: all('spire/agent/k8s/a') }] })).toBe(2);
    expect(await datastore.agents.count({ scopes: [] })).toBe(0);
  });
});

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Datastore, openDatastore } from '../../src/datastore/datastore.ts';
import { eventually } from '../harness/eventually.ts';
import { PgBouncer } from '../harness/pgbouncer.ts';
import { PostgresServer } from '../harness/postgres-server.ts';
import { newEntry } from './fixtures.ts';

vi.setConfig({ hookTimeout: 60_000 });

const stack = new AsyncDisposableStack();
let postgres: PostgresServer;
let pooler: PgBouncer;

beforeAll(async () => {
  postgres = stack.use(await PostgresServer.start({ settings: ['fsync = off'] }));
  pooler = stack.use(await PgBouncer.start(postgres));
});
afterAll(() => stack.disposeAsync());

const open = (): Promise<Datastore> => openDatastore({ postgres: pooler.config() });

test('two servers behind PgBouncer, which keeps sessions together, hear of each other', async () => {
  await using a = await open();
  await using b = await open();
  const heard: string[] = [];
  b.changes.subscribe(({ log }) => heard.push(log));
  await a.entries.create(newEntry({ id: 'one' }));
  await expect.poll(() => heard).toContain('entry');
  expect((await b.entries.list()).items.map(({ id }) => id)).toEqual(['one']);
});

test('a pooler that restarts is waited for', async () => {
  await using datastore = await open();
  await pooler.restart();
  await eventually(() => datastore.entries.list());
});

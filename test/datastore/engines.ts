import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { type Datastore, type DatastorePlace, openDatastore } from '../../src/datastore/datastore.ts';
import { FakeClock } from '../../src/testing/fake-clock.ts';
import { PostgresServer } from '../harness/postgres-server.ts';

/** Moved in Unix seconds, in which the datastore keeps its times. */
export class TestClock extends FakeClock {
  get seconds(): number {
    return Math.floor(this.read().getTime() / 1000);
  }

  set seconds(value: number) {
    this.set(new Date(value * 1000));
  }
}

/** An empty database of one engine, and the handles that a test opened on it. */
export class TestDatabase implements AsyncDisposable {
  readonly clock = new TestClock();
  readonly #place: DatastorePlace;
  readonly #remove: () => Promise<void>;
  readonly #handles: Datastore[] = [];

  constructor(place: DatastorePlace, remove: () => Promise<void>) {
    this.#place = place;
    this.#remove = remove;
  }

  async open(): Promise<Datastore> {
    const datastore = await openDatastore({ ...this.#place, clock: this.clock.read });
    this.#handles.push(datastore);
    return datastore;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const handle of this.#handles) await handle[Symbol.asyncDispose]();
    await this.#remove();
  }
}

export interface Engine {
  readonly name: string;
  create(): Promise<TestDatabase>;
}

const sqlite: Engine = {
  name: 'sqlite',
  async create() {
    const folder = await mkdtemp(join(tmpdir(), 'datastore-'));
    return new TestDatabase({ path: join(folder, 'datastore.sqlite3') }, () => rm(folder, { recursive: true }));
  },
};

let server: Promise<PostgresServer> | undefined;
let schemas = 0;
/** Empty again, and up to date. */
const freeSchemas: string[] = [];

/** One server a test file; each database is a schema of its own in it. */
const postgres: Engine = {
  name: 'postgres',
  async create() {
    server ??= PostgresServer.start({ settings: ['fsync = off'] });
    const running = await server;
    const schema = freeSchemas.pop() ?? `test_${++schemas}`;
    await running.query(`create schema if not exists ${schema}`);
    return new TestDatabase({ postgres: running.config({}, { search_path: schema }) }, async () => {
      await emptySchema(running, schema);
      freeSchemas.push(schema);
    });
  },
};

async function emptySchema(running: PostgresServer, schema: string): Promise<void> {
  const rows = await running.query<{ name: string }>(
    `select tablename::text as name from pg_tables where schemaname = '${schema}' and tablename not like 'schema_migration%' and tablename <> 'change_log'`,
  );
  if (rows.length === 0) return;
  const names = rows.map(({ name }) => `${schema}.${name}`);
  await running.query(`truncate ${names.join(', ')}; update ${schema}.change_log set last_sequence = 0`);
}

afterAll(async () => {
  await (await server)?.[Symbol.asyncDispose]();
  server = undefined;
});

/** Every engine passes the same suites. */
export const engines: readonly Engine[] = [sqlite, postgres];

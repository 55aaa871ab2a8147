import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Datastore, type DatastoreOptions, openDatastore } from '../../src/datastore/datastore.ts';
import { FakeClock } from '../../src/testing/fake-clock.ts';

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
export interface TestDatabase extends AsyncDisposable {
  readonly clock: TestClock;
  open(): Promise<Datastore>;
}

export interface Engine {
  readonly name: string;
  create(): Promise<TestDatabase>;
}

class SqliteTestDatabase implements TestDatabase {
  readonly clock = new TestClock();
  readonly #folder: string;
  readonly #handles: Datastore[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  async open(): Promise<Datastore> {
    const options: DatastoreOptions = { path: join(this.#folder, 'datastore.sqlite3'), clock: this.clock.read };
    const datastore = await openDatastore(options);
    this.#handles.push(datastore);
    return datastore;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const handle of this.#handles) await handle[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true });
  }
}

const sqlite: Engine = {
  name: 'sqlite',
  create: async () => new SqliteTestDatabase(await mkdtemp(join(tmpdir(), 'datastore-'))),
};

/** Every engine passes the same suites. */
export const engines: readonly Engine[] = [sqlite];

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Datastore, type DatastoreOptions, openDatastore } from '../../src/datastore/datastore.ts';

/** A clock that a test moves. */
export class TestClock {
  /** Unix seconds. */
  seconds = 1_800_000_000;

  readonly read = (): Date => new Date(this.seconds * 1000);
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

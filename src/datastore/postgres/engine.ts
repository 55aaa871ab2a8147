import { setTimeout as delay } from 'node:timers/promises';
import { Kysely, sql } from 'kysely';
import type { PostgresConfig } from '../../config/datastore-config.ts';
import type { PostgresConnection } from '../../config/postgres-connection.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { readLogs } from '../change-log.ts';
import type { ChangedLogs } from '../changes.ts';
import type { Engine } from '../engine.ts';
import { migrate } from '../migrate.ts';
import type { DatastoreSchema } from '../schema.ts';
import { clientsTo } from './client-config.ts';
import { ConnectionPool } from './connection-pool.ts';
import { NodePostgresDialect } from './dialect.ts';
import { isWorthAnother } from './error.ts';
import { Follower, type FollowerOptions, writePayload } from './follower.ts';
import { lockForWriting, lockSchema, unlockSchema } from './locks.ts';
import { requireOurs } from './require-ours.ts';
import { TextInByteOrder } from './text-in-byte-order.ts';

export interface PostgresEngineOptions {
  readonly config: PostgresConfig;
  readonly beforeWaiting: () => void;
  readonly log?: FollowerOptions['log'];
}

/** @throws SpiffeError `DATASTORE_UNUSABLE`, with where it is and what to do */
export async function openPostgresEngine({ config, beforeWaiting, log }: PostgresEngineOptions): Promise<Engine> {
  const { connection } = config;
  const clients = clientsTo(connection);
  const pool = new ConnectionPool({
    clients,
    maxOpen: config.maxOpenConnections,
    maxIdle: config.maxIdleConnections,
    lifetimeSeconds: config.connectionLifetimeSeconds,
    settings: connection.settings,
  });
  const db = new Kysely<DatastoreSchema>({ dialect: new NodePostgresDialect(pool, beforeWaiting) });
  try {
    const { migrationsRun, schemaOid } = await prepare(db, config.disableMigration);
    pool.answerTimeoutMs = ANSWER_TIMEOUT_MS; // a migration may take longer
    const known = await readLogs(db);
    const channel = `assayer_${schemaOid}`;
    const follower = { clients, settings: connection.settings, channel, log };
    return new PostgresEngine({ db, migrationsRun, place: placeOf(connection), follower, known });
  } catch (error) {
    await db.destroy();
    throw atPlace(connection, error);
  }
}

async function prepare(db: Kysely<DatastoreSchema>, disabled: boolean) {
  return await db.connection().execute(async (locking) => {
    await sql`select set_config('lock_timeout', '0', false)`.execute(locking); // as long as another server migrates
    await lockSchema().execute(locking);
    try {
      const { hasHistory, schema, schemaOid } = await requireOurs(locking);
      const migrations = await migrate(locking.withPlugin(new TextInByteOrder()), { hasHistory, disabled, schema });
      return { migrationsRun: migrations.length, schemaOid };
    } finally {
      await unlockSchema().execute(locking);
    }
  });
}

const ANSWER_TIMEOUT_MS = 30_000;
const ATTEMPTS = 5;
const MAX_PAUSE_MS = 50;

interface PostgresEngineParts {
  readonly db: Kysely<DatastoreSchema>;
  readonly migrationsRun: number;
  readonly place: Engine['place'];
  readonly follower: Omit<FollowerOptions, 'announce'>;
  readonly known: ChangedLogs;
}

class PostgresEngine implements Engine {
  readonly db: Kysely<DatastoreSchema>;
  readonly migrationsRun: number;
  readonly place: Engine['place'];
  readonly #parts: PostgresEngineParts;
  #follower: Follower | undefined;

  constructor(parts: PostgresEngineParts) {
    this.db = parts.db;
    this.migrationsRun = parts.migrationsRun;
    this.place = parts.place;
    this.#parts = parts;
  }

  async step<T>(work: (db: Kysely<DatastoreSchema>) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#transact('step', work);
      } catch (error) {
        if (attempt === ATTEMPTS || !isWorthAnother(error)) throw error;
        await delay(Math.random() * MAX_PAUSE_MS);
      }
    }
  }

  async alone<T>(work: (db: Kysely<DatastoreSchema>) => Promise<T>): Promise<T> {
    return await this.#transact('alone', work);
  }

  async backup(): Promise<never> {
    throw new SpiffeError('FAILED_PRECONDITION', 'the datastore is PostgreSQL: use pg_dump');
  }

  async notify(db: Kysely<DatastoreSchema>, changed: ChangedLogs): Promise<void> {
    await sql`select pg_notify(${this.#parts.follower.channel}, ${writePayload(changed)})`.execute(db);
  }

  follow(announce: (changed: ChangedLogs) => void): void {
    this.#follower ??= Follower.start({ ...this.#parts.follower, announce }, this.#parts.known);
  }

  notice(changed: ChangedLogs): ChangedLogs {
    return this.#follower?.notice(changed) ?? changed;
  }

  get leads(): boolean {
    return this.#follower?.leads === true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#follower?.[Symbol.asyncDispose]();
    await this.db.destroy();
  }

  async #transact<T>(kind: 'step' | 'alone', work: (db: Kysely<DatastoreSchema>) => Promise<T>): Promise<T> {
    return await this.db.transaction().execute(async (db) => {
      await lockForWriting(kind).execute(db);
      return await work(db);
    });
  }
}

function placeOf({ host, port, database, user }: PostgresConnection): Engine['place'] {
  return { host, port, database, user };
}

function atPlace(connection: PostgresConnection, error: unknown): unknown {
  if (!(error instanceof SpiffeError)) return error;
  const { host, port, database, user } = connection;
  const place = `datastore "${database}" at ${host}:${port}, user "${user}"`;
  if (error.code === 'DATASTORE_UNAVAILABLE') {
    const message = `${place}, cannot be reached (${reasonOf(error)}): start PostgreSQL, or correct connection_string`;
    return new SpiffeError('DATASTORE_UNUSABLE', message, { cause: error });
  }
  return new SpiffeError(error.code, `${place}: ${error.message}`, { cause: error });
}

/** What `pg` says of a connection never has a password in it. */
function reasonOf({ cause, message }: SpiffeError): string {
  if (cause instanceof AggregateError) return cause.errors.map((each: unknown) => String(each)).join('; ');
  return cause instanceof Error ? cause.message : message;
}

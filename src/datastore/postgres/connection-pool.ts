import { setTimeout as delay } from 'node:timers/promises';
import { type Client, Pool, type PoolClient } from 'pg';
import { SpiffeError } from '../../spiffe/error.ts';
import { isWorthWaiting, toPostgresError } from './error.ts';

export interface ConnectionPoolOptions {
  readonly clients: new () => Client;
  readonly maxOpen: number;
  readonly maxIdle: number;
  /** 0: as long as they last. */
  readonly lifetimeSeconds: number;
  /** Settings of each session. */
  readonly settings: Readonly<Record<string, string>>;
}

/** How long calls wait for a database that went away: a restart takes seconds. */
const PATIENCE_MS = 5_000;
const RETRY_MS = 100;
const IDLE_MS = 60_000;

/** A server that stops in the middle of a transaction holds the others up no longer than this. */
const SESSION_SETTINGS: Readonly<Record<string, string>> = {
  idle_in_transaction_session_timeout: '30s',
  lock_timeout: '10s',
  tcp_keepalives_idle: '30',
  tcp_keepalives_interval: '10',
  tcp_keepalives_count: '3',
};

/** Connections to PostgreSQL, which come back after it went away. */
export class ConnectionPool {
  readonly #pool: Pool;
  readonly #maxIdle: number;
  readonly #settings: readonly (readonly [string, string])[];
  readonly #ready = new WeakSet<PoolClient>();
  /** An answer that takes longer is none, and its connection is given up; 0: as long as it takes. */
  answerTimeoutMs = 0;
  #awaySince: number | undefined;
  #end: Promise<void> | undefined;

  constructor({ clients, maxOpen, maxIdle, lifetimeSeconds, settings }: ConnectionPoolOptions) {
    this.#maxIdle = maxIdle;
    this.#settings = Object.entries({ ...SESSION_SETTINGS, ...settings });
    this.#pool = new Pool({
      Client: clients,
      max: maxOpen,
      idleTimeoutMillis: IDLE_MS,
      connectionTimeoutMillis: PATIENCE_MS,
      maxLifetimeSeconds: lifetimeSeconds,
    });
    this.#pool.on('error', () => {}); // one that had no work went away: the pool has dropped it
    this.#pool.on('connect', (client) => client.on('error', () => {})); // its next query says so
  }

  /** Waits a while for a database that is away. @throws SpiffeError `DATASTORE_UNAVAILABLE` */
  async acquire(): Promise<PoolClient> {
    for (;;) {
      if (this.#end !== undefined) throw new SpiffeError('DATASTORE_UNAVAILABLE', 'datastore is closed');
      try {
        const client = await this.#connect();
        this.#awaySince = undefined;
        return client;
      } catch (error) {
        if (!isWorthWaiting(error)) throw toPostgresError(error);
        this.#awaySince ??= performance.now();
        if (performance.now() - this.#awaySince > PATIENCE_MS) throw toPostgresError(error);
        await delay(RETRY_MS);
      }
    }
  }

  /** @param isBroken it is of no more use. */
  release(client: PoolClient, isBroken: boolean): void {
    client.release(isBroken || this.#pool.idleCount >= this.#maxIdle);
  }

  /** Waits for the connections that are in use. */
  async end(): Promise<void> {
    this.#end ??= this.#pool.end();
    await this.#end;
  }

  async #connect(): Promise<PoolClient> {
    const client = await this.#pool.connect();
    if (this.#ready.has(client)) return client;
    try {
      const calls = this.#settings.map((_, n) => `set_config($${2 * n + 1}, $${2 * n + 2}, false)`);
      await client.query(`select ${calls.join(', ')}`, this.#settings.flat());
      this.#ready.add(client);
      return client;
    } catch (error) {
      client.release(true);
      throw error;
    }
  }
}

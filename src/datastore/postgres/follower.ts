import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import type { ChangedLog, ChangedLogs } from '../changes.ts';
import { TRY_TO_LEAD } from './locks.ts';

export interface FollowerOptions {
  readonly clients: new () => Client;
  readonly settings: Readonly<Record<string, string>>;
  readonly channel: string;
  /** Called with what is not known yet. */
  readonly announce: (changed: ChangedLogs) => void;
  readonly log?: { warning(message: string): void; info(message: string): void } | undefined;
}

/** The sequences are read this often too: a notification can be lost with a connection, or held up by a proxy. */
const POLL_MS = 500;
/** A connection that does not answer is as good as lost. */
const IN_TIME = { query_timeout: 5_000 };
const RECONNECT_MS = 250;
const GOODBYE_MS = 500;
const MAX_PAYLOAD = 500;

/**
 * Hears what other servers change, by LISTEN and by polling, over a connection of its own. While that lasts, it is
 * also what makes one of the servers the one that leads.
 */
export class Follower implements AsyncDisposable {
  readonly #options: FollowerOptions;
  readonly #known = new Map<ChangedLog, number>();
  readonly #stop = new AbortController();
  #leads = false;
  #isLost = false;
  #wasBehind = false;
  readonly #running: Promise<void>;

  private constructor(options: FollowerOptions, known: ChangedLogs) {
    this.#options = options;
    for (const [log, sequence] of known) this.#known.set(log, sequence);
    this.#running = this.#run();
  }

  /** @param known what caches have read, or an earlier state. */
  static start(options: FollowerOptions, known: ChangedLogs): Follower {
    return new Follower(options, known);
  }

  get leads(): boolean {
    return this.#leads;
  }

  /** @returns what is new of it, and counts as announced from now on. */
  notice(changed: ChangedLogs): ChangedLogs {
    const news = new Map([...changed].filter(([log, sequence]) => sequence > (this.#known.get(log) ?? 0)));
    for (const [log, sequence] of news) this.#known.set(log, sequence);
    return news;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#follow();
      } catch {
        if (!this.#isLost && !signal.aborted) this.#options.log?.warning('datastore is away: trying again');
        this.#isLost = true;
      } finally {
        this.#leads = false;
      }
      await delay(RECONNECT_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** One connection, until it is lost or the follower ends. */
  async #follow(): Promise<void> {
    const { clients, settings, channel } = this.#options;
    const { signal } = this.#stop;
    const client = new clients();
    const lost = new Promise<void>((resolve) => client.on('end', resolve));
    client.on('error', () => {}); // the end follows
    client.on('notification', ({ payload = '' }) => this.#announce(readPayload(payload)));
    try {
      await client.connect();
      for (const [name, value] of Object.entries(settings)) {
        await client.query('select set_config($1, $2, false)', [name, value]);
      }
      await client.query(`listen "${channel}"`);
      while (!signal.aborted) {
        await this.#poll(client);
        await Promise.race([lost, delay(POLL_MS, undefined, { signal }).catch(() => {})]);
      }
    } finally {
      await Promise.race([client.end().catch(() => {}), delay(GOODBYE_MS)]); // nobody may be there to take it
    }
  }

  async #poll(client: Client): Promise<void> {
    if (!this.#leads) {
      const { rows } = await client.query<{ leads: boolean }>({ text: TRY_TO_LEAD, ...IN_TIME });
      this.#leads = rows[0]?.leads === true;
    }
    const { rows } = await client.query<{ name: ChangedLog; last_sequence: number }>({
      text: 'select name, last_sequence from change_log',
      ...IN_TIME,
    });
    if (this.#isLost) this.#options.log?.info('datastore is back');
    this.#isLost = false;
    const found = new Map(rows.map(({ name, last_sequence }) => [name, last_sequence]));
    this.#lookBack(found);
    this.#announce(found);
  }

  /** A database that stays behind what is known of it is another copy, such as a backup: all of it is news. */
  #lookBack(found: ChangedLogs): void {
    const isBehind = [...found].some(([log, sequence]) => sequence < (this.#known.get(log) ?? 0));
    if (isBehind && this.#wasBehind) {
      for (const [log, sequence] of found) this.#known.set(log, sequence - 1);
    }
    this.#wasBehind = isBehind; // once, a change of the moment may have overtaken the answer
  }

  #announce(changed: ChangedLogs): void {
    const news = this.notice(changed);
    if (news.size > 0 && !this.#stop.signal.aborted) this.#options.announce(news);
  }
}

/** `entry=7 bundle=3`, the sequences that were reached. */
export function writePayload(changed: ChangedLogs): string {
  return [...changed].map(([log, sequence]) => `${log}=${sequence}`).join(' ');
}

const LOGS: readonly string[] = ['entry', 'agent', 'bundle', 'authority'] satisfies readonly ChangedLog[];

/** Whoever may write to the database may send anything: what is no change is let pass. */
export function readPayload(text: string): ChangedLogs {
  const changed = new Map<ChangedLog, number>();
  if (text.length > MAX_PAYLOAD) return changed;
  for (const part of text.split(' ')) {
    const [log = '', sequence = ''] = part.split('=');
    if (isLog(log) && /^\d{1,15}$/.test(sequence)) changed.set(log, Number(sequence));
  }
  return changed;
}

function isLog(text: string): text is ChangedLog {
  return LOGS.includes(text);
}

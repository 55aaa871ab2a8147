import { advanceLog, readLog } from './change-log.ts';
import { RowInserter } from './insert-rows.ts';
import { PreparedQuery } from './prepared-query.ts';
import type { Session } from './session.ts';

export type EventKind = 'created' | 'updated' | 'deleted';

/** A change that was committed. */
export interface ChangeEvent {
  /** Without gaps, in the order of commits. */
  readonly sequence: number;
  readonly kind: EventKind;
  /** Entry ID, or SPIFFE ID of the agent. */
  readonly key: string;
  /** Unix seconds. */
  readonly at: number;
}

export interface EventPage {
  readonly events: readonly ChangeEvent[];
  /** True: events after the asked sequence were pruned, or the datastore is an older copy, so read everything anew. */
  readonly missed: boolean;
}

const DEFAULT_LIMIT = 1000;

/** The changes of one aggregate, for caches to follow. */
export class EventLog {
  readonly #session: Session;
  readonly #name: 'entry' | 'agent';

  constructor(session: Session, name: 'entry' | 'agent') {
    this.#session = session;
    this.#name = name;
  }

  /** To be called in the transaction of the change. @returns the sequence of the first event, which the others follow. */
  async append(kind: EventKind, keys: readonly string[]): Promise<number> {
    if (keys.length === 0) return 0;
    const { db, now, changed } = this.#session;
    const last = await advanceLog(db, this.#name, keys.length);
    changed.set(this.#name, last);
    const first = last - keys.length + 1;
    const created_at = now();
    const rows = keys.map((key, n) => ({ log: this.#name, sequence: first + n, kind, key, created_at }));
    await eventRows.insert(db, rows);
    return first;
  }

  async latest(): Promise<number> {
    return await readLog(this.#session.db, this.#name);
  }

  async after(sequence: number, limit = DEFAULT_LIMIT): Promise<EventPage> {
    const read = () => eventsAfter.run(this.#session.db, [this.#name, sequence, limit]);
    let events = await read();
    if (events.length === 0) {
      if ((await this.latest()) === sequence) return { events, missed: false };
      events = await read(); // another server has stored some between the two
    }
    return { events, missed: events[0]?.sequence !== sequence + 1 };
  }

  async prune(olderThanSeconds: number): Promise<number> {
    const { db, now } = this.#session;
    const { numDeletedRows } = await db
      .deleteFrom('change_event')
      .where('log', '=', this.#name)
      .where('created_at', '<', now() - olderThanSeconds)
      .executeTakeFirst();
    return Number(numDeletedRows);
  }
}

const eventRows = new RowInserter<'change_event'>(['log', 'sequence', 'kind', 'key', 'created_at'], (db, rows) =>
  db.insertInto('change_event').values(rows),
);

const eventsAfter = new PreparedQuery((db) =>
  db
    .selectFrom('change_event')
    .select(['sequence', 'kind', 'key', 'created_at as at'])
    .where('log', '=', '')
    .where('sequence', '>', 0)
    .orderBy('sequence')
    .limit(DEFAULT_LIMIT)
    .$narrowType<{ kind: EventKind }>(),
);

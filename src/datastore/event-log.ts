import { advanceLog } from './change-log.ts';
import { chunksOf, type Session } from './session.ts';

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

  /** To be called in the transaction of the change. */
  async append(kind: EventKind, keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const { db, now, changed } = this.#session;
    const last = await advanceLog(db, this.#name, keys.length);
    changed.set(this.#name, last);
    let sequence = last - keys.length;
    const created_at = now();
    for (const chunk of chunksOf(keys)) {
      const rows = chunk.map((key) => ({ log: this.#name, sequence: ++sequence, kind, key, created_at }));
      await db.insertInto('change_event').values(rows).execute();
    }
  }

  async latest(): Promise<number> {
    const row = await this.#session.db
      .selectFrom('change_log')
      .select('last_sequence')
      .where('name', '=', this.#name)
      .executeTakeFirstOrThrow();
    return row.last_sequence;
  }

  async after(sequence: number, limit = DEFAULT_LIMIT): Promise<EventPage> {
    const latest = await this.latest();
    if (latest === sequence) return { events: [], missed: false };
    const events = await this.#session.db
      .selectFrom('change_event')
      .select(['sequence', 'kind', 'key', 'created_at as at'])
      .where('log', '=', this.#name)
      .where('sequence', '>', sequence)
      .orderBy('sequence')
      .limit(limit)
      .$narrowType<{ kind: EventKind }>()
      .execute();
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

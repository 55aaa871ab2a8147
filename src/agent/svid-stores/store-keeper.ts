import type { Logger } from '../../log/logger.ts';
import type { SvidStore } from '../../plugin-host/kinds/svid-store.ts';
import { backoffMs } from '../../rpc/backoff.ts';
import { messageOf } from '../../spiffe/error.ts';
import { mayCoincide } from './place.ts';
import type { PlaceRegister } from './place-register.ts';
import { isSameContent, toStored, type WantedPlace } from './wanted-places.ts';

export interface StoreKeeperOptions {
  readonly store: SvidStore;
  readonly register: PlaceRegister;
  readonly log: Logger;
}

interface Failure {
  /** In a row. */
  readonly count: number;
  /** What was to be stored; undefined: it was to be deleted. */
  readonly wanted: WantedPlace | undefined;
  /** Tries again. */
  readonly timer: NodeJS.Timeout;
}

interface Running {
  /** What is stored; undefined: it is deleted. */
  readonly wanted: WantedPlace | undefined;
  readonly done: Promise<void>;
}

/** Calls that one plugin has at once. */
const MOST_AT_ONCE = 4;

/** Brings one store to what is wanted of it, and tries again what fails: one call a place at a time, deletions first. */
export class StoreKeeper implements AsyncDisposable {
  readonly #options: StoreKeeperOptions;
  readonly #abort = new AbortController();
  #wanted: ReadonlyMap<string, WantedPlace> = new Map();
  #mayDelete = false;
  /** What the store has, by what it was told in this run. */
  readonly #stored = new Map<string, WantedPlace>();
  /** Places to look at, in order. */
  #due: readonly string[] = [];
  readonly #running = new Map<string, Running>();
  readonly #failures = new Map<string, Failure>();

  constructor(options: StoreKeeperOptions) {
    this.#options = options;
  }

  /**
   * @param mayDelete whether what is not wanted may be deleted: not before the server has said what is.
   */
  want(wanted: ReadonlyMap<string, WantedPlace>, mayDelete: boolean): void {
    this.#wanted = wanted;
    this.#mayDelete = mayDelete;
    const changed = this.#changedPlaces();
    for (const key of [...this.#failures.keys()]) if (!changed.has(key)) this.#forgetFailure(key);
    this.#due = [...changed].filter((key) => !this.#isTriedAgain(key));
    this.#runDue();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    for (const key of [...this.#failures.keys()]) this.#forgetFailure(key);
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  /** Keys of what is to be deleted, then of what is to be stored. */
  #changedPlaces(): ReadonlySet<string> {
    const { register, store } = this.#options;
    const registered = [...register.places.values()].filter(({ place }) => place.store === store.name);
    const keys = [...new Set([...registered.map(({ place }) => place.key), ...this.#wanted.keys()])];
    return new Set([
      ...keys.filter((key) => this.#isToBeDeleted(key)),
      ...keys.filter((key) => this.#isToBeStored(key)),
    ]);
  }

  #isToBeDeleted(key: string): boolean {
    return this.#mayDelete && !this.#wanted.has(key) && this.#options.register.places.has(key);
  }

  #isToBeStored(key: string): boolean {
    const wanted = this.#wanted.get(key);
    if (wanted?.svid === undefined) return false;
    const stored = this.#stored.get(key);
    return stored === undefined || !isSameContent(stored, wanted);
  }

  /** Whether the very same has failed before: it has its time. */
  #isTriedAgain(key: string): boolean {
    const failed = this.#failures.get(key);
    if (failed === undefined) return false;
    const wanted = this.#wanted.get(key);
    if (wanted === undefined || failed.wanted === undefined) return wanted === failed.wanted;
    return isSameContent(wanted, failed.wanted);
  }

  #runDue(): void {
    if (this.#abort.signal.aborted) return;
    const later: string[] = [];
    for (const [index, key] of this.#due.entries()) {
      if (this.#running.size >= MOST_AT_ONCE) {
        this.#due = [...later, ...this.#due.slice(index)];
        return;
      }
      if (this.#mustWait(key)) later.push(key);
      else if (this.#isToBeDeleted(key)) this.#run(key, undefined, this.#delete(key));
      else if (this.#isToBeStored(key)) this.#run(key, this.#wanted.get(key), this.#put(key));
    }
    this.#due = later;
  }

  /** One call a place; and none beside a deletion that may take what it stores. */
  #mustWait(key: string): boolean {
    if (this.#running.has(key)) return true;
    const wanted = this.#wanted.get(key);
    return [...this.#running].some(([other, running]) => {
      if (wanted !== undefined) return running.wanted === undefined && this.#isBeside(other, wanted);
      return running.wanted !== undefined && this.#isBeside(key, running.wanted);
    });
  }

  /** Whether a deletion there may take what is wanted here. */
  #isBeside(deleted: string, { place, entry }: WantedPlace): boolean {
    const registered = this.#options.register.places.get(deleted);
    return registered !== undefined && (registered.entryId === entry.id || mayCoincide(registered.place, place));
  }

  #run(key: string, wanted: WantedPlace | undefined, call: Promise<void>): void {
    const done = call
      .then(
        () => this.#succeeded(key),
        (error: unknown) => this.#failed(key, wanted, error),
      )
      .finally(() => {
        this.#running.delete(key);
        this.#runDue();
      });
    this.#running.set(key, { wanted, done });
  }

  async #put(key: string): Promise<void> {
    const { store, log } = this.#options;
    const wanted = this.#wanted.get(key);
    if (wanted?.svid === undefined) return;
    const { entry, svid } = wanted;
    await store.putX509Svid(toStored(wanted, svid), this.#abort.signal);
    const isFirst = !this.#stored.has(key);
    this.#stored.set(key, wanted);
    log.log(isFirst ? 'info' : 'debug', 'the X.509-SVID of an entry is stored', {
      svid_store: store.name,
      entry_id: entry.id,
      spiffe_id: svid.spiffeId,
      expires_at: svid.expiresAt.toISOString(),
    });
  }

  async #delete(key: string): Promise<void> {
    const { store, register, log } = this.#options;
    const registered = register.places.get(key);
    if (registered === undefined) return;
    this.#stored.delete(key);
    await store.deleteX509Svid(registered.place.metadata, this.#abort.signal);
    // It may have taken what was stored beside it while it was tried again: that is stored once more.
    const beside = [...this.#stored].filter(([, stored]) => this.#isBeside(key, stored)).map(([other]) => other);
    for (const other of beside) this.#stored.delete(other);
    this.#due = [...this.#due, ...beside];
    await register.remove(key);
    log.info('the X.509-SVID of an entry is stored no more', { svid_store: store.name, entry_id: registered.entryId });
  }

  #succeeded(key: string): void {
    const failed = this.#failures.get(key);
    if (failed !== undefined) {
      const { store, log } = this.#options;
      log.info('an SVID store does again what it is told', { svid_store: store.name, failures: failed.count });
    }
    this.#forgetFailure(key);
    // What was wanted meanwhile is not what was done.
    if (this.#isToBeDeleted(key) || this.#isToBeStored(key)) this.#due = [...this.#due, key];
  }

  #failed(key: string, wanted: WantedPlace | undefined, error: unknown): void {
    if (this.#abort.signal.aborted) return;
    const { store, register, log } = this.#options;
    const before = this.#failures.get(key);
    const count = (before?.count ?? 0) + 1;
    const delayMs = backoffMs(count);
    clearTimeout(before?.timer);
    const timer = setTimeout(() => {
      this.#due = [...this.#due, key];
      this.#runDue();
    }, delayMs);
    this.#failures.set(key, { count, wanted, timer });
    const what = wanted === undefined ? 'deleted from' : 'stored in';
    log.log(count === 1 ? 'error' : 'debug', `the X.509-SVID of an entry could not be ${what} an SVID store`, {
      svid_store: store.name,
      entry_id: register.places.get(key)?.entryId,
      reason: messageOf(error),
      retry_in_ms: Math.round(delayMs),
    });
  }

  #forgetFailure(key: string): void {
    clearTimeout(this.#failures.get(key)?.timer);
    this.#failures.delete(key);
  }
}

import type { Logger } from '../../log/logger.ts';
import type { SvidStore } from '../../plugin-host/kinds/svid-store.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import type { WorkloadCache } from '../workloads/workload-cache.ts';
import { PlaceRegister } from './place-register.ts';
import { StoreKeeper } from './store-keeper.ts';
import { type WantedPlace, wantedPlaces } from './wanted-places.ts';

export interface SvidStoresOptions {
  readonly trustDomain: TrustDomain;
  readonly stores: readonly SvidStore[];
  readonly cache: Pick<WorkloadCache, 'content' | 'changes'>;
  /** Whether the cache has all entries that the server named last, in this run: without, nothing is deleted. */
  readonly isWhole: () => boolean;
  readonly dataDir: string;
  readonly log: Logger;
  readonly clock: () => Date;
}

/**
 * Pushes the X.509-SVIDs of entries with `store_svid` to the plugins that their selectors name, again with every change, and has
 * them deleted with their entry. Inventory K006.
 */
export class SvidStores implements AsyncDisposable {
  readonly #options: SvidStoresOptions;
  readonly #register: PlaceRegister;
  readonly #keepers: ReadonlyMap<string, StoreKeeper>;
  readonly #abort = new AbortController();
  readonly #following: Promise<void>;
  /** What was logged of an entry. */
  readonly #complaints = new Map<string, string>();

  private constructor(options: SvidStoresOptions, register: PlaceRegister) {
    const { stores, log } = options;
    this.#options = options;
    this.#register = register;
    this.#keepers = new Map(stores.map((store) => [store.name, new StoreKeeper({ store, register, log })]));
    this.#following = this.#follow(this.#abort.signal);
  }

  static async start(options: SvidStoresOptions): Promise<SvidStores> {
    const { dataDir, stores, log } = options;
    const register = await PlaceRegister.open(dataDir, log);
    const names = new Set(stores.map(({ name }) => name));
    const orphaned = [...register.places.values()].filter(({ place }) => !names.has(place.store));
    for (const store of new Set(orphaned.map(({ place }) => place.store))) {
      log.warning('an SVID store that is configured no more has X.509-SVIDs, which nobody renews or deletes', {
        svid_store: store,
        places: orphaned.filter(({ place }) => place.store === store).length,
      });
    }
    return new SvidStores(options, register);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#following;
    await Promise.all([...this.#keepers.values()].map((keeper) => keeper[Symbol.asyncDispose]()));
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for await (const _ of this.#options.cache.changes(signal)) await this.#update();
  }

  async #update(): Promise<void> {
    const { cache, trustDomain, clock, isWhole } = this.#options;
    const { content } = cache;
    if (content === undefined) return;
    const mayDelete = isWhole();
    const { places, unusable } = wantedPlaces(content, trustDomain, clock());
    this.#complain(places, unusable);
    const ready = [...places.values()].filter(
      ({ place, svid }) => svid !== undefined && this.#keepers.has(place.store),
    );
    await this.#register.add(ready.map(({ place, entry }) => ({ place, entryId: entry.id })));
    const byStore = Map.groupBy(places.values(), ({ place }) => place.store);
    for (const [name, keeper] of this.#keepers) {
      const wanted = (byStore.get(name) ?? []).map((one) => [one.place.key, one] as const);
      keeper.want(new Map(wanted), mayDelete);
    }
  }

  /** Each reason once. */
  #complain(
    places: ReadonlyMap<string, WantedPlace>,
    unusable: readonly { readonly entry: AuthorizedEntry; readonly reason: string }[],
  ): void {
    const homeless = [...places.values()].flatMap(({ place: { store }, entry }) => {
      if (this.#keepers.has(store)) return [];
      const reason = `no SVID store "${store}" is configured: add SVIDStore "${store}" to the plugins of this agent, or correct the type of its selectors`;
      return [{ entry, reason }];
    });
    const complaints = new Map([...unusable, ...homeless].map(({ entry, reason }) => [entry.id, { entry, reason }]));
    for (const { entry, reason } of complaints.values()) {
      if (this.#complaints.get(entry.id) === reason) continue;
      this.#complaints.set(entry.id, reason);
      const fields = { entry_id: entry.id, spiffe_id: entry.spiffeId, reason };
      this.#options.log.error('the X.509-SVID of an entry cannot be stored', fields);
    }
    for (const id of this.#complaints.keys()) if (!complaints.has(id)) this.#complaints.delete(id);
  }
}

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../../files/write-file-atomically.ts';
import type { Logger } from '../../log/logger.ts';
import { messageOf } from '../../spiffe/error.ts';
import { FirstFailure } from '../storage/first-failure.ts';
import { createPlace, type Place } from './place.ts';

/** Where something may be stored, and whose it is. */
export interface RegisteredPlace {
  readonly place: Place;
  readonly entryId: string;
}

const FILE_NAME = 'svid-stores.json';
const MAX_FILE_BYTES = 64 * 1024 * 1024;
const FORMAT = 'assayer-svid-stores-1';

const schema = z.strictObject({
  format: z.literal(FORMAT),
  places: z.array(z.strictObject({ store: z.string(), metadata: z.array(z.string()), entryId: z.string() })),
});

/**
 * Remembers across restarts where something may be stored, so that it is deleted when its entry went meanwhile. Written before
 * anything is stored. Nothing in it is secret.
 */
export class PlaceRegister {
  readonly #path: string;
  readonly #log: Logger;
  readonly #places: Map<string, RegisteredPlace>;
  #writing: Promise<void> = Promise.resolve();
  #isOutdated = false;
  readonly #failure = new FirstFailure();

  private constructor(path: string, log: Logger, places: readonly RegisteredPlace[]) {
    this.#path = path;
    this.#log = log;
    this.#places = new Map(places.map((registered) => [registered.place.key, registered]));
  }

  /** A file that cannot be used is as good as none. */
  static async open(folder: string, log: Logger): Promise<PlaceRegister> {
    const path = join(folder, FILE_NAME);
    try {
      const { size } = await stat(path);
      if (size > MAX_FILE_BYTES) throw new Error(`it has ${size} bytes, ${MAX_FILE_BYTES} at most`);
      const { places } = schema.parse(JSON.parse(await readFile(path, 'utf8')));
      const found = places.map(({ store, metadata, entryId }) => ({ place: createPlace(store, metadata), entryId }));
      return new PlaceRegister(path, log, found);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
        const consequence = 'what SVID stores hold of entries that went meanwhile is not deleted';
        log.warning(`the list of stored X.509-SVIDs is not used: ${consequence}`, { path, reason: messageOf(error) });
      }
      return new PlaceRegister(path, log, []);
    }
  }

  get places(): ReadonlyMap<string, RegisteredPlace> {
    return this.#places;
  }

  /** Resolves when they are on the disk. A failure is logged, the first of several: storing is worth more than the list. */
  async add(added: readonly RegisteredPlace[]): Promise<void> {
    const isNew = ({ place, entryId }: RegisteredPlace) => this.#places.get(place.key)?.entryId !== entryId;
    const missing = added.filter(isNew);
    if (missing.length === 0) return;
    for (const registered of missing) this.#places.set(registered.place.key, registered);
    await this.#write();
  }

  async remove(key: string): Promise<void> {
    if (this.#places.delete(key)) await this.#write();
  }

  /** One after the other; whoever comes while one waits is part of it. */
  async #write(): Promise<void> {
    if (!this.#isOutdated) {
      this.#isOutdated = true;
      this.#writing = this.#writing.then(() => this.#writeNow());
    }
    await this.#writing;
  }

  async #writeNow(): Promise<void> {
    this.#isOutdated = false;
    const places = [...this.#places.values()].map(({ place: { store, metadata }, entryId }) => {
      return { store, metadata: [...metadata], entryId };
    });
    const content: z.input<typeof schema> = { format: FORMAT, places };
    await this.#failure.run(
      () => writeFileAtomically(this.#path, `${JSON.stringify(content, undefined, 1)}\n`),
      (error) => this.#log.warning('the list of stored X.509-SVIDs cannot be kept', { reason: messageOf(error) }),
    );
  }
}

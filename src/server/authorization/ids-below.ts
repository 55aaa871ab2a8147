import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { EntryCache } from '../entry-cache.ts';

/**
 * What whoever is given a SPIFFE ID is given with it: an agent has the entries below an entry of its own, and those below
 * these. For one call: what was walked is not walked again.
 */
export class IdsBelow {
  readonly #entries: Pick<EntryCache, 'entriesBelow'>;
  readonly #isWanted: (id: SpiffeId) => boolean;
  /** None below these is wanted. */
  readonly #passed = new Set<SpiffeId>();
  readonly #found = new Map<SpiffeId, SpiffeId>();

  constructor(entries: Pick<EntryCache, 'entriesBelow'>, isWanted: (id: SpiffeId) => boolean) {
    this.#entries = entries;
    this.#isWanted = isWanted;
  }

  /** The first that is wanted among those below `id`. */
  findBelow(id: SpiffeId): SpiffeId | undefined {
    if (this.#passed.has(id)) return undefined;
    const found = this.#found.get(id) ?? this.#walk(id);
    if (found !== undefined) this.#found.set(id, found);
    return found;
  }

  #walk(id: SpiffeId): SpiffeId | undefined {
    const walked = new Set([id]);
    for (const parent of walked) {
      // A set that grows is walked to its end.
      for (const { spiffeId } of this.#entries.entriesBelow(parent)) {
        if (this.#passed.has(spiffeId) || walked.has(spiffeId)) continue;
        if (this.#isWanted(spiffeId)) return spiffeId;
        walked.add(spiffeId);
      }
    }
    for (const harmless of walked) this.#passed.add(harmless);
    return undefined;
  }
}

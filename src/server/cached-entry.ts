import type { RegistrationEntry } from '../spiffe/entry.ts';
import type { Selector } from '../spiffe/selector.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';

/** An entry as the cache has it, together with what was made of it for the wire: one is never changed, but replaced. */
export interface CachedEntry extends RegistrationEntry {
  /** `spire.api.types.Entry`, whole; made when it is first asked for. */
  encoded: Uint8Array | undefined;
  /** `EntryRevision`, a character a byte: of short pieces V8 keeps a text in a third of the memory of an array. */
  encodedRevision: string | undefined;
}

/** Keeps one copy of each text that many entries have in common. */
export class EntryTexts {
  readonly #selectorTypes = new Map<string, string>();

  /** @param parentId the same text as the entry's, of an entry that is cached already. */
  toCached(entry: RegistrationEntry, parentId: SpiffeId): CachedEntry {
    return {
      id: entry.id,
      parentId,
      spiffeId: entry.spiffeId,
      selectors: entry.selectors.map(({ type, value }): Selector => ({ type: this.#selectorType(type), value })),
      x509SvidTtlSeconds: entry.x509SvidTtlSeconds,
      jwtSvidTtlSeconds: entry.jwtSvidTtlSeconds,
      federatesWith: orNone(entry.federatesWith),
      admin: entry.admin,
      downstream: entry.downstream,
      storeSvid: entry.storeSvid,
      dnsNames: orNone(entry.dnsNames),
      expiresAt: entry.expiresAt,
      hint: entry.hint,
      revisionNumber: entry.revisionNumber,
      createdAt: entry.createdAt,
      jwtSvidIncludeJti: entry.jwtSvidIncludeJti,
      disableX509SvidPrefetch: entry.disableX509SvidPrefetch,
      encoded: undefined,
      encodedRevision: undefined,
    };
  }

  #selectorType(type: string): string {
    const known = this.#selectorTypes.get(type);
    if (known !== undefined) return known;
    if (this.#selectorTypes.size < MAX_SELECTOR_TYPES) this.#selectorTypes.set(type, type);
    return type;
  }
}

/** There is one a plugin, or so; whoever makes up many has them stored apart. */
const MAX_SELECTOR_TYPES = 1000;
const NONE: readonly never[] = Object.freeze([]);

const orNone = <T>(list: readonly T[]): readonly T[] => (list.length === 0 ? NONE : list);

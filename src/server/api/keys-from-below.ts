import { type Bundle, type JwtAuthority, jwtAuthorityOf } from '../../spiffe/bundle.ts';
import { SpiffeError } from '../../spiffe/error.ts';

export interface KeysFromBelowOptions {
  readonly bundle: { readonly current: Bundle };
  /** Makes a key known in the whole trust domain. */
  readonly publish: (key: JwtAuthority) => Promise<void>;
}

/** Servers have two or three each, and several may share an entry; more are somebody's mistake, or attack. */
const MAX_KEYS_PER_CALLER = 100;
const MAX_KEYS = 1_000;

/** The JWT authorities that servers below make known: none of them fills the bundle for all. Counts from the start on. */
export class KeysFromBelow {
  readonly #options: KeysFromBelowOptions;
  /** By caller: the IDs of its keys in the bundle, and of those under way there. */
  readonly #published = new Map<string, Set<string>>();
  readonly #underWay = new Set<string>();

  constructor(options: KeysFromBelowOptions) {
    this.#options = options;
  }

  /**
   * @param callerId SPIFFE ID.
   * @returns all keys of the trust domain.
   * @throws SpiffeError `RATE_LIMITED` where the caller, or all of them, have too many in the bundle
   */
  async publish(callerId: string, key: JwtAuthority): Promise<readonly JwtAuthority[]> {
    const { bundle, publish } = this.#options;
    if (jwtAuthorityOf(bundle.current, key.keyId) === undefined) this.#count(callerId, key.keyId, bundle.current);
    this.#underWay.add(key.keyId);
    try {
      await publish(key);
    } finally {
      this.#underWay.delete(key.keyId);
    }
    return bundle.current.jwtAuthorities;
  }

  #count(callerId: string, keyId: string, bundle: Bundle): void {
    const { length } = bundle.jwtAuthorities;
    if (length >= MAX_KEYS) {
      throw new SpiffeError('RATE_LIMITED', `the bundle has ${length} JWT authorities, and takes no more from below`);
    }
    const known = [...(this.#published.get(callerId) ?? [])];
    const own = new Set(known.filter((id) => this.#underWay.has(id) || jwtAuthorityOf(bundle, id) !== undefined));
    if (own.size >= MAX_KEYS_PER_CALLER) {
      throw new SpiffeError(
        'RATE_LIMITED',
        `${callerId} has made ${own.size} JWT authorities known that are still valid, and may make no more`,
      );
    }
    this.#published.set(callerId, own.add(keyId));
  }
}

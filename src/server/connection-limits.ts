import type { Duplex } from 'node:stream';
import { networkOf } from '../rpc/network-address.ts';
import type { TlsPeer } from '../rpc/peer.ts';

/** How many connections one peer may have, and how long one may last that proves nothing. */
export interface ConnectionLimitOptions {
  readonly maxPerMember: number;
  readonly maxPerAddress: number;
  readonly maxAnonymous: number;
  readonly anonymousLifeMs: number;
}

/**
 * A member's connections come and go with its agents; a stranger needs one to fetch the bundle and to attest, and leaves.
 * The strangers of one address never take all of the room.
 */
const DEFAULT_LIMITS: ConnectionLimitOptions = {
  maxPerMember: 64,
  maxPerAddress: 32,
  maxAnonymous: 256,
  anonymousLifeMs: 300_000,
};

/** Counts the connections over TLS, by who or where they come from. */
export class ConnectionLimits {
  readonly #options: ConnectionLimitOptions;
  readonly #counts = new Map<string, number>();
  #anonymous = 0;

  constructor(options: Partial<ConnectionLimitOptions> = {}) {
    this.#options = { ...DEFAULT_LIMITS, ...options };
  }

  /** Counts a connection until it closes; one too many is cut off. @returns whether it may stay. */
  admit(socket: Duplex, { spiffeId, address }: TlsPeer): boolean {
    const { maxPerMember, maxPerAddress, maxAnonymous, anonymousLifeMs } = this.#options;
    const isAnonymous = spiffeId === undefined;
    const key = spiffeId ?? networkOf(address);
    const count = this.#counts.get(key) ?? 0;
    const isFull = isAnonymous && this.#anonymous >= maxAnonymous;
    if (isFull || count >= (isAnonymous ? maxPerAddress : maxPerMember)) {
      socket.destroy();
      return false;
    }
    this.#counts.set(key, count + 1);
    if (isAnonymous) this.#anonymous += 1;
    const timer = isAnonymous ? setTimeout(() => socket.destroy(), anonymousLifeMs) : undefined;
    socket.once('close', () => {
      clearTimeout(timer);
      if (isAnonymous) this.#anonymous -= 1;
      const left = (this.#counts.get(key) ?? 1) - 1;
      if (left === 0) this.#counts.delete(key);
      else this.#counts.set(key, left);
    });
    return true;
  }
}

import { randomBytes } from 'node:crypto';
import type { KeyName, ListedKey } from '../../pkcs11/protocol.ts';

/** CKA_ID of our keys: when the key was made, in milliseconds but never twice, and what nobody else has. */
const WHEN_BYTES = 8;
const ID_BYTES = 16;

/** Whose keys: no other program touches what begins with the same. */
export interface KeyOwner {
  readonly trustDomain: string;
  readonly side: 'server' | 'agent';
  readonly identifier: string;
}

/** What the labels of all keys of an owner begin with; a trust domain and an identifier have no colon. */
export function labelPrefix({ trustDomain, side, identifier }: KeyOwner): string {
  return `assayer:${trustDomain}:${side}:${identifier}:`;
}

/** A name for a new key, which is newer than `newest`. */
export function newCkaId(newest: bigint, now = Date.now()): Uint8Array {
  const id = Buffer.alloc(ID_BYTES);
  const when = BigInt(now);
  id.writeBigUInt64BE(when > newest ? when : newest + 1n);
  randomBytes(ID_BYTES - WHEN_BYTES).copy(id, WHEN_BYTES);
  return new Uint8Array(id);
}

/** By which the newest of two keys with one label is known; undefined for a key that we have not made. */
export function madeAt({ ckaId }: Pick<KeyName, 'ckaId'>): bigint | undefined {
  return ckaId.length === ID_BYTES ? Buffer.from(ckaId).readBigUInt64BE() : undefined;
}

/** How long the making of a key may be between its two objects. */
const HALF_MADE_MS = 60_000n;

export interface SortedKeys {
  /** The newest whole key of each label. */
  readonly current: ReadonlyMap<string, ListedKey>;
  /** What a process that was killed, or could not delete, has left: keys with a newer one, and public keys without their private one. */
  readonly leftOver: readonly ListedKey[];
  readonly newest: bigint;
}

/**
 * Which of the keys that begin with our label count. A key counts once both its objects are there, and from then on the one before it
 * does not, so that there is always exactly one.
 */
export function sortKeys(keys: readonly ListedKey[], now = Date.now()): SortedKeys {
  const ours = keys
    .flatMap((key) => {
      const when = madeAt(key);
      return when === undefined ? [] : [{ key, when }];
    })
    .toSorted((a, b) => (a.when < b.when ? -1 : 1));
  const current = new Map<string, ListedKey>();
  const leftOver: ListedKey[] = [];
  for (const { key, when } of ours) {
    if (key.hasPrivateKey && key.publicKey !== undefined) {
      const older = current.get(key.label);
      if (older !== undefined) leftOver.push(older);
      current.set(key.label, key);
    } else if (!key.hasPrivateKey && when + HALF_MADE_MS < BigInt(now)) {
      leftOver.push(key);
    }
  }
  return { current, leftOver, newest: ours.at(-1)?.when ?? 0n };
}

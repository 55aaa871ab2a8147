/** One of the two keys that take turns. */
export type Slot = 'A' | 'B';

/** Where an authority stands: the next to sign, the one that signs, or one that signed. Whether it is tainted, the bundle says. */
export type AuthorityState = 'prepared' | 'active' | 'old';

export interface AuthorityRecord {
  /** Whose key it is, or was: an old one's may have been replaced. */
  readonly slot: Slot;
  readonly state: AuthorityState;
  /** Lower-case hex of an X.509 authority's subject key identifier, or the key ID of a JWT authority. */
  readonly authorityId: string;
  /** Unix seconds. */
  readonly issuedAt: number;
  readonly notAfter: number;
}

export interface X509Record extends AuthorityRecord {
  /** The CA certificate, DER, and what links it to a root above, if anything does; the root is not among them. */
  readonly chain: readonly Uint8Array[];
  /** Lower-case hex of the subject key identifier of the root above; empty: the CA is its own root. */
  readonly upstreamAuthorityId: string;
}

export interface JwtRecord extends AuthorityRecord {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
}

/** So many old ones can be tainted and revoked; SPIRE's journal has as many. */
const MAX_OLD_RECORDS = 10;

export function recordIn<Record extends AuthorityRecord>(
  records: readonly Record[],
  state: AuthorityState,
): Record | undefined {
  return records.findLast((record) => record.state === state);
}

/** The slot that the next authority may take: never that of the one that signs. */
export function freeSlot(records: readonly AuthorityRecord[]): Slot {
  return recordIn(records, 'active')?.slot === 'A' ? 'B' : 'A';
}

/** Adds a prepared record; one that was prepared before is forgotten, as its key is replaced. */
export function withPrepared<Record extends AuthorityRecord>(
  records: readonly Record[],
  prepared: Record,
): readonly Record[] {
  return [...records.filter(({ state }) => state !== 'prepared'), prepared];
}

/** The prepared one signs from here on; the one that signed is old. */
export function withActivated<Record extends AuthorityRecord>(records: readonly Record[]): readonly Record[] {
  const prepared = recordIn(records, 'prepared');
  if (prepared === undefined) return records;
  return records.map((record) => ({ ...record, state: record === prepared ? ('active' as const) : ('old' as const) }));
}

/** Old records in the order they signed, without those that ended before `endedBefore` (Unix seconds). */
export function withoutForgotten<Record extends AuthorityRecord>(
  records: readonly Record[],
  endedBefore: number,
): readonly Record[] {
  const old = records.filter(({ state, notAfter }) => state === 'old' && notAfter >= endedBefore);
  return [...old.slice(-MAX_OLD_RECORDS), ...records.filter(({ state }) => state !== 'old')];
}

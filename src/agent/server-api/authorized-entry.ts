import { type Entry as ApiEntry, EntryMask } from '../../gen/spire/api/types/types.ts';
import type { RegistrationEntry } from '../../spiffe/entry.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { fromApiId } from './api-id.ts';

/** What an agent needs of an entry that it may sign for. */
export type AuthorizedEntry = Pick<
  RegistrationEntry,
  | 'id'
  | 'spiffeId'
  | 'selectors'
  | 'federatesWith'
  | 'expiresAt'
  | 'storeSvid'
  | 'admin'
  | 'downstream'
  | 'hint'
  | 'revisionNumber'
  | 'createdAt'
  | 'disableX509SvidPrefetch'
>;

/** Whether it has not expired. @param nowMs milliseconds since 1970 */
export function isCurrent({ expiresAt }: Pick<AuthorizedEntry, 'expiresAt'>, nowMs: number): boolean {
  return expiresAt === 0 || expiresAt * 1000 > nowMs;
}

/** Asks the server for the fields of {@link AuthorizedEntry} alone. */
export const AUTHORIZED_ENTRY_MASK: EntryMask = EntryMask.create({
  spiffeId: true,
  selectors: true,
  federatesWith: true,
  admin: true,
  downstream: true,
  expiresAt: true,
  storeSvid: true,
  hint: true,
  revisionNumber: true,
  createdAt: true,
  additionalAttributes: true,
});

/** @throws SpiffeError for an entry that breaks a rule of SPIFFE. */
export function fromApiEntry(entry: ApiEntry): AuthorizedEntry {
  return {
    id: entry.id,
    spiffeId: fromApiId(entry.spiffeId),
    selectors: entry.selectors.map(({ type, value }) => ({ type, value })),
    federatesWith: entry.federatesWith.map(parseTrustDomain),
    expiresAt: toSeconds(entry.expiresAt),
    storeSvid: entry.storeSvid,
    admin: entry.admin,
    downstream: entry.downstream,
    hint: entry.hint,
    revisionNumber: Number(entry.revisionNumber),
    createdAt: toSeconds(entry.createdAt),
    disableX509SvidPrefetch: entry.additionalAttributes?.disableX509SvidPrefetch ?? false,
  };
}

/** The last second of a `Date`, and less than nothing the first. Source: ECMA-262, "Time Values and Time Range". */
const MAX_DATE_SECONDS = 8_640_000_000_000;

/** Unix time; what no `Date` can be is the one that is next to it. */
function toSeconds(time: bigint): number {
  return Math.max(-MAX_DATE_SECONDS, Math.min(MAX_DATE_SECONDS, Number(time)));
}

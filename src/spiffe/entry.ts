import { requireDnsName } from './dns-name.ts';
import { SpiffeError } from './error.ts';
import { quoteText } from './quote-text.ts';
import { requireShortSelector, requireValidSelector, type Selector } from './selector.ts';
import { isReservedId, pathOf, requireIssuableId, type SpiffeId, trustDomainOf } from './spiffe-id.ts';
import type { TrustDomain } from './trust-domain.ts';

/** Who is entitled to which SPIFFE ID: a workload with all `selectors` on the node `parentId`. */
export interface RegistrationEntry {
  readonly id: string;
  readonly parentId: SpiffeId;
  readonly spiffeId: SpiffeId;
  readonly selectors: readonly Selector[];
  /** 0: the server's default. */
  readonly x509SvidTtlSeconds: number;
  /** 0: the server's default. */
  readonly jwtSvidTtlSeconds: number;
  readonly federatesWith: readonly TrustDomain[];
  readonly admin: boolean;
  readonly downstream: boolean;
  /** The SVID goes to the store that the selectors' type names, not to a workload. */
  readonly storeSvid: boolean;
  readonly dnsNames: readonly string[];
  /** Unix seconds; 0: never. */
  readonly expiresAt: number;
  readonly hint: string;
  readonly revisionNumber: number;
  /** Unix seconds. */
  readonly createdAt: number;
  readonly jwtSvidIncludeJti: boolean;
  readonly disableX509SvidPrefetch: boolean;
}

const MAX_ENTRY_ID_CHARACTERS = 255;
const MAX_HINT_BYTES = 1024;
/** Largest `int32`, the type of a TTL on the wire. */
const MAX_TTL_SECONDS = 2 ** 31 - 1;

/**
 * The rules of SPIRE's entry API; `id` may be empty, for the server to choose.
 *
 * @throws SpiffeError `ARGUMENT_INVALID`, or `SELECTOR_INVALID` for a selector
 */
export function requireValidEntry(entry: RegistrationEntry, trustDomain: TrustDomain): void {
  requireEntryId(entry.id);
  requireMember('parent ID', entry.parentId, trustDomain);
  requireMember('SPIFFE ID', entry.spiffeId, trustDomain);
  if (isReservedId(entry.spiffeId)) {
    throw invalid(`SPIFFE ID ${quoteText(entry.spiffeId)} is not a workload's: paths below "/spire" are reserved`);
  }
  requireSelectors(entry);
  requireWholeNumber('X509-SVID TTL', entry.x509SvidTtlSeconds, MAX_TTL_SECONDS);
  requireWholeNumber('JWT-SVID TTL', entry.jwtSvidTtlSeconds, MAX_TTL_SECONDS);
  requireWholeNumber('expiry', entry.expiresAt, Number.MAX_SAFE_INTEGER);
  const names = new Set<string>();
  for (const name of entry.dnsNames) {
    requireDnsName(name);
    if (names.has(name)) throw invalid(`DNS name ${quoteText(name)} is given twice`);
    names.add(name);
  }
  if (Buffer.byteLength(entry.hint) > MAX_HINT_BYTES) {
    throw invalid(`hint ${quoteText(entry.hint)} is too long: ${MAX_HINT_BYTES} bytes at most`);
  }
}

function requireEntryId(id: string): void {
  if (id.length > MAX_ENTRY_ID_CHARACTERS) {
    throw invalid(`entry ID ${quoteText(id)} is too long: ${MAX_ENTRY_ID_CHARACTERS} characters at most`);
  }
  if (/[^a-zA-Z0-9._-]/u.test(id)) {
    throw invalid(`entry ID ${quoteText(id)} has a character outside of letters, digits, ".", "-" and "_"`);
  }
}

function requireMember(what: string, id: SpiffeId, trustDomain: TrustDomain): void {
  requireIssuableId(id);
  if (trustDomainOf(id) !== trustDomain) {
    throw invalid(`${what} ${quoteText(id)} is not a member of trust domain "${trustDomain}"`);
  }
  if (pathOf(id) === '') throw invalid(`${what} ${quoteText(id)} has no path: it would name the trust domain itself`);
}

function requireSelectors({ selectors, storeSvid }: RegistrationEntry): void {
  const first = selectors[0];
  if (first === undefined) throw invalid('selector list is empty: an entry needs one selector at least');
  const seen = new Set<string>();
  for (const selector of selectors) {
    requireValidSelector(selector);
    requireShortSelector(selector);
    const key = `${selector.type}:${selector.value}`;
    if (seen.has(key)) throw invalid(`selector ${quoteText(key)} is given twice`);
    seen.add(key);
    if (storeSvid && selector.type !== first.type) {
      throw invalid(
        `selector types ${quoteText(first.type)} and ${quoteText(selector.type)} differ: an entry whose SVID is stored has selectors of one type, the name of the store`,
      );
    }
  }
}

function requireWholeNumber(what: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw invalid(`${what} ${value} is not a whole number of seconds from 0 to ${most}`);
  }
}

function invalid(message: string): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', message);
}

import { SpiffeError } from './error.ts';
import { quoteText } from './quote-text.ts';

declare const brand: unique symbol;
/** A trust domain name such as `example.org`, without a scheme; equality is `===`. */
export type TrustDomain = string & { readonly [brand]: 'TrustDomain' };

/** The host of a URI ends at 255 bytes (RFC 3986 §3.2.2). Source: SPIFFE-ID §2.3. */
export const MAX_TRUST_DOMAIN_BYTES = 255;
const SCHEME = 'spiffe://';
const FORBIDDEN = /[^a-z0-9._-]/u;

/**
 * Parses `example.org` or `spiffe://example.org`; nothing is folded, decoded or trimmed.
 *
 * @throws SpiffeError `SPIFFE_ID_INVALID`, naming the first rule broken.
 * @see SPIFFE-ID §2.1
 */
export function parseTrustDomain(text: string): TrustDomain {
  const name = text.startsWith(SCHEME) ? text.slice(SCHEME.length) : text;
  requireTrustDomainName(name);
  return name as TrustDomain;
}

/** @throws SpiffeError `SPIFFE_ID_INVALID` @see SPIFFE-ID §2.1, §2.3 */
export function requireTrustDomainName(name: string): void {
  if (name === '')
    throw new SpiffeError('SPIFFE_ID_INVALID', 'trust domain is empty: give a name such as "example.org"');
  if (name.length > MAX_TRUST_DOMAIN_BYTES) {
    throw new SpiffeError(
      'SPIFFE_ID_INVALID',
      `trust domain ${quoteText(name)} is ${name.length} characters long: ${MAX_TRUST_DOMAIN_BYTES} at most`,
    );
  }
  const forbidden = FORBIDDEN.exec(name);
  if (forbidden) {
    throw new SpiffeError(
      'SPIFFE_ID_INVALID',
      `trust domain ${quoteText(name)} has ${quoteText(forbidden[0])}, a character of a trust domain outside of a-z, 0-9, ".", "-" and "_"`,
    );
  }
}

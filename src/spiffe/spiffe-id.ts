import { SpiffeError } from './error.ts';
import { quoteText } from './quote-text.ts';
import { requireTrustDomainName, type TrustDomain } from './trust-domain.ts';

declare const brand: unique symbol;
/** A string that went through {@link parseSpiffeId}; equality is `===`. */
export type SpiffeId = string & { readonly [brand]: 'SpiffeId' };

/** Source: SPIFFE-ID §2.3, a limit on what is generated, not on what is accepted. */
export const MAX_GENERATED_SPIFFE_ID_BYTES = 2048;
const SCHEME = 'spiffe://';
const FORBIDDEN_IN_PATH = /[^a-zA-Z0-9._/-]/u;

/**
 * Parses a SPIFFE ID, `spiffe://<trust domain>[/<segment>...]`.
 *
 * @param text any length: §2.3 limits what we generate (2048 bytes), not what we accept.
 * @returns the same text, branded; nothing is folded, decoded or trimmed.
 * @throws SpiffeError `SPIFFE_ID_INVALID`, naming the first rule broken.
 * @see SPIFFE-ID §2.1 (trust domain), §2.2 (path)
 */
export function parseSpiffeId(text: string): SpiffeId {
  if (text === '') throw new SpiffeError('SPIFFE_ID_INVALID', 'SPIFFE ID is empty');
  if (!text.startsWith(SCHEME)) {
    throw new SpiffeError('SPIFFE_ID_INVALID', `SPIFFE ID ${quoteText(text)} does not start with "${SCHEME}"`);
  }
  const slash = text.indexOf('/', SCHEME.length);
  requireTrustDomainName(text.slice(SCHEME.length, slash === -1 ? undefined : slash));
  if (slash !== -1) requirePath(text.slice(slash));
  return text as SpiffeId;
}

/** @throws SpiffeError `SPIFFE_ID_INVALID` @see SPIFFE-ID §2.2 */
function requirePath(path: string): void {
  const forbidden = FORBIDDEN_IN_PATH.exec(path);
  if (forbidden) {
    throw new SpiffeError(
      'SPIFFE_ID_INVALID',
      `path ${quoteText(path)} has ${quoteText(forbidden[0])}, a character outside of letters, digits, ".", "-" and "_"`,
    );
  }
  for (const segment of path.slice(1).split('/')) {
    if (segment === '') {
      throw new SpiffeError(
        'SPIFFE_ID_INVALID',
        `path ${quoteText(path)} has an empty path segment or ends in a slash`,
      );
    }
    if (segment === '.' || segment === '..') {
      throw new SpiffeError('SPIFFE_ID_INVALID', `path ${quoteText(path)} has the dot segment "${segment}"`);
    }
  }
}

export function trustDomainOf(id: SpiffeId): TrustDomain {
  const slash = id.indexOf('/', SCHEME.length);
  return id.slice(SCHEME.length, slash === -1 ? undefined : slash) as TrustDomain;
}

/** `""` or `/a/b`. */
export function pathOf(id: SpiffeId): string {
  const slash = id.indexOf('/', SCHEME.length);
  return slash === -1 ? '' : id.slice(slash);
}

/**
 * @param path `""` or `/a/b`
 * @throws SpiffeError `SPIFFE_ID_INVALID`, also when the ID would exceed 2048 bytes
 */
export function spiffeIdOf(trustDomain: TrustDomain, path: string): SpiffeId {
  if (path !== '' && !path.startsWith('/')) {
    throw new SpiffeError('SPIFFE_ID_INVALID', `path ${quoteText(path)} does not start with "/"`);
  }
  const id = `${SCHEME}${trustDomain}${path}`;
  if (id.length > MAX_GENERATED_SPIFFE_ID_BYTES) {
    throw new SpiffeError(
      'SPIFFE_ID_INVALID',
      `SPIFFE ID ${quoteText(id)} would have ${id.length} bytes: ${MAX_GENERATED_SPIFFE_ID_BYTES} at most`,
    );
  }
  return parseSpiffeId(id);
}

/** `spiffe://<trust domain>/spire/agent/<attestor>/<suffix>`. @throws SpiffeError `SPIFFE_ID_INVALID` */
export function agentId(trustDomain: TrustDomain, attestor: string, suffix: string): SpiffeId {
  return spiffeIdOf(trustDomain, `/spire/agent/${attestor}/${suffix}`);
}

/** `spiffe://<trust domain>/spire/server`. */
export function serverId(trustDomain: TrustDomain): SpiffeId {
  return spiffeIdOf(trustDomain, '/spire/server');
}

/** Below `/spire/agent`. */
export function isAgentId(id: SpiffeId): boolean {
  return pathOf(id).startsWith('/spire/agent/');
}

/** `/spire` or below: the names of servers and agents, never of a workload. */
export function isReservedId(id: SpiffeId): boolean {
  const path = pathOf(id);
  return path === '/spire' || path.startsWith('/spire/');
}

/** SPIFFE-ID §2.3. Others' may be longer; nobody has to understand them. */
const MAX_ISSUED_BYTES = 2048;

/** Of an ID that is given out, or asked for. @throws SpiffeError `SPIFFE_ID_INVALID` */
export function requireIssuableId(id: SpiffeId): void {
  if (id.length <= MAX_ISSUED_BYTES) return; // an ID has one byte a character
  throw new SpiffeError(
    'SPIFFE_ID_INVALID',
    `SPIFFE ID ${quoteText(id)} has ${id.length} bytes: ${MAX_ISSUED_BYTES} at most`,
  );
}

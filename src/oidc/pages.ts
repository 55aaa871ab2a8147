import { createHash } from 'node:crypto';
import type { OidcConfig } from '../config/oidc-config.ts';
import type { Page, PageRequest, RenderPage } from '../http/page-server.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { formatDiscoveryDocument } from './discovery-document.ts';
import { formatKeySet } from './key-set.ts';
import type { KeySource } from './key-source.ts';

/** Scripts of any origin may read what everybody may. */
const FOR_ALL = { 'Access-Control-Allow-Origin': '*' };
/** A key that was revoked is gone with the next request; one that is there still costs no more than a question. */
const ASK_AGAIN = { 'Cache-Control': 'no-cache' };
const JSON_TYPE = 'application/json';

/** Both documents, by their paths. */
export function documentPages(
  { domains, listen, pathPrefix, issuer, jwksUri, setKeyUse }: OidcConfig,
  keys: Pick<KeySource, 'current'>,
  clock: () => Date,
): ReadonlyMap<string, RenderPage> {
  const known = new Set(domains);
  const scheme = 'scheme' in listen ? listen.scheme : 'https';

  async function discovery(_query: URLSearchParams, request: PageRequest): Promise<Page> {
    const host = hostOf(request);
    const name = host.replace(/:\d{1,5}$/, '').toLowerCase();
    if (!known.has(name)) {
      return plain(400, `${quoteText(name)} is not among the domains of this provider`);
    }
    const shown = scheme === 'http' && request.header('x-forwarded-proto') !== 'https' ? 'http' : 'https';
    const text = formatDiscoveryDocument({ origin: `${shown}://${host}`, pathPrefix, issuer, jwksUri });
    return json(text, request);
  }

  async function keySet(_query: URLSearchParams, request: PageRequest): Promise<Page> {
    const { current } = keys;
    if (current === undefined) return plain(500, 'the keys are not known yet: the log says why');
    return json(formatKeySet(current, clock(), { setKeyUse }), request);
  }

  return new Map([
    [`${pathPrefix}/.well-known/openid-configuration`, discovery],
    [`${pathPrefix}/keys`, keySet],
  ]);
}

/** As the relying party called it: a proxy before this one says so. The name is checked, so it is believed. */
function hostOf(request: PageRequest): string {
  const host = request.header('x-forwarded-host') ?? request.header('host') ?? '';
  return /^[A-Za-z0-9.-]{1,253}(?::\d{1,5})?$/.test(host) ? host : '';
}

function json(text: string, request: PageRequest): Page {
  const tag = `"${createHash('sha256').update(text).digest('base64url')}"`;
  const headers = { ...FOR_ALL, ...ASK_AGAIN, ETag: tag };
  const asked = request
    .header('if-none-match')
    ?.split(',')
    .map((one) => one.trim().replace(/^W\//, ''));
  if (asked?.includes(tag)) return { status: 304, contentType: JSON_TYPE, text: '', headers };
  return { status: 200, contentType: JSON_TYPE, text, headers };
}

function plain(status: number, sentence: string): Page {
  return {
    status,
    contentType: 'text/plain; charset=utf-8',
    text: `${sentence}\n`,
    headers: { 'Cache-Control': 'no-store' },
  };
}

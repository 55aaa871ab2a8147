import { z } from '../../plugin-sdk/index.ts';

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/** The address of an interface that is trusted with credentials, or for what it says: `https://`, on this machine also `http://`. */
export const apiUrl = z.string().transform((text, ctx): URL => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isTrusted = url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.has(url.hostname));
  if (url !== undefined && isTrusted && url.username === '' && url.search === '' && url.hash === '') return url;
  ctx.addIssue('must be a URL that starts with https:// (on this machine also http://), without user, "?" and "#"');
  return z.NEVER;
});

/** @param path below the URL's own path, encoded */
export function below(base: URL, path: string): URL {
  return new URL(`${base.href.replace(/\/$/, '')}${path}`);
}

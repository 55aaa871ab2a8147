import { quoteText } from '../spiffe/quote-text.ts';

/** A URL for a message: without user, password and fragment, and with `…` for a query, which may be a secret as well. */
export function shownUrl(text: string): string {
  if (!URL.canParse(text)) return quoteText(text.replace(/[?#].*$/s, '?…').replace(/\/\/[^/]*@/, '//'));
  const { protocol, host, pathname, search } = new URL(text);
  return quoteText(`${protocol}//${host}${pathname}${search === '' ? '' : '?…'}`);
}

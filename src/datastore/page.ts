import { SpiffeError } from '../spiffe/error.ts';

/** Asks for a part of a list, in the order of the list's key. */
export interface PageRequest {
  /** Items at most, from 1. */
  readonly size: number;
  /** The `nextPageToken` of the page before; absent or empty: the first page. */
  readonly token?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** Largest page, and the step in which a whole list is read. */
export const MAX_PAGE_SIZE = 1000;
const MAX_TOKEN_CHARACTERS = 4096;

/**
 * Reads keyset pages: a row that comes or goes between two pages neither repeats nor hides another.
 *
 * @param fetch rows after the key `after`, `limit` at most, in the order of the key.
 * @param request absent: the whole list, read in steps of {@link MAX_PAGE_SIZE}.
 * @throws SpiffeError `ARGUMENT_INVALID` for a size or token that no page has
 */
export async function readPage<T>(
  request: PageRequest | undefined,
  keyOf: (item: T) => string,
  fetch: (after: string, limit: number) => Promise<readonly T[]>,
): Promise<Page<T>> {
  if (request === undefined) return { items: await readAll(keyOf, fetch), nextPageToken: '' };
  if (!Number.isInteger(request.size) || request.size < 1) {
    throw new SpiffeError('ARGUMENT_INVALID', `page size ${request.size} is not a whole number from 1`);
  }
  const size = Math.min(request.size, MAX_PAGE_SIZE);
  const found = await fetch(decodePageToken(request.token ?? ''), size + 1);
  const items = found.slice(0, size);
  const last = items.at(-1);
  return { items, nextPageToken: found.length > size && last !== undefined ? encodePageToken(keyOf(last)) : '' };
}

async function readAll<T>(
  keyOf: (item: T) => string,
  fetch: (after: string, limit: number) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  const items: T[] = [];
  for (let after = ''; ; ) {
    const found = await fetch(after, MAX_PAGE_SIZE);
    items.push(...found);
    const last = found.at(-1);
    if (last === undefined || found.length < MAX_PAGE_SIZE) return items;
    after = keyOf(last);
  }
}

function encodePageToken(key: string): string {
  return Buffer.from(key).toString('base64url');
}

function decodePageToken(token: string): string {
  const key = Buffer.from(token.slice(0, MAX_TOKEN_CHARACTERS), 'base64url').toString();
  if (encodePageToken(key) !== token || key.includes('\0')) {
    throw new SpiffeError('ARGUMENT_INVALID', 'page token is not one of this list: start again without a token');
  }
  return key;
}

import { MAX_PAGE_SIZE, type PageRequest } from '../../datastore/page.ts';

/** Without a size, the whole list. A size above the largest gets that: the next page's token tells that there is more. */
export function toPageRequest(pageSize: number, pageToken: string): PageRequest | undefined {
  return pageSize > 0 ? { size: Math.min(pageSize, MAX_PAGE_SIZE), token: pageToken } : undefined;
}

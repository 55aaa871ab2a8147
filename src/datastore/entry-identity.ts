import { hash } from 'node:crypto';
import type { RegistrationEntry } from '../spiffe/entry.ts';
import { compareSelectors } from '../spiffe/selector.ts';

/** Two entries with the same parent ID, SPIFFE ID and selector set are the same entry. */
export function entryIdentity({
  parentId,
  spiffeId,
  selectors,
}: Pick<RegistrationEntry, 'parentId' | 'spiffeId' | 'selectors'>): string {
  const sorted = [...selectors].sort(compareSelectors).map(({ type, value }) => [type, value]);
  return hash('sha256', JSON.stringify([parentId, spiffeId, sorted]));
}

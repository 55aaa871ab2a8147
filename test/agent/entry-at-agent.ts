import type { AuthorizedEntry } from '../../src/agent/server-api/authorized-entry.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';

/** An entry as an agent has it, with nothing special about it. */
export function entryAtAgent(id: string, path: string, more: Partial<AuthorizedEntry> = {}): AuthorizedEntry {
  return {
    id,
    spiffeId: parseSpiffeId(`spiffe://example.org${path}`),
    selectors: [],
    federatesWith: [],
    expiresAt: 0,
    storeSvid: false,
    admin: false,
    downstream: false,
    hint: '',
    revisionNumber: 0,
    createdAt: 0,
    disableX509SvidPrefetch: false,
    ...more,
  };
}

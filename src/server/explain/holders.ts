import type { AgentRepository } from '../../datastore/agent-repository.ts';
import type { AttestedAgent } from '../../datastore/agent-rows.ts';
import { containsAllSelectors } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { Holders } from '../entry-cache.ts';

export interface FoundHolders {
  readonly agents: readonly AttestedAgent[];
  /** Named as a parent, and not attested. */
  readonly notAttested: readonly SpiffeId[];
  /** How many there are that are not among `agents`, at least. */
  readonly leftOut: number;
}

const PAGE = 1000;

/** The attested agents that {@link Holders} are, in the order of their IDs; `limit` of them at most. */
export async function findHolders(
  { agents: named, aliases }: Holders,
  agents: AgentRepository,
  limit: number,
): Promise<FoundHolders> {
  const found = new Map<SpiffeId, AttestedAgent>();
  for (const agent of await agents.findMany([...named].slice(0, limit))) found.set(agent.spiffeId, agent);
  const notAttested = [...named].slice(0, limit).filter((id) => !found.has(id));
  let leftOut = Math.max(named.size - limit, 0);
  for (const { selectors } of aliases) {
    const filter = { selectors: { match: 'superset' as const, selectors } };
    for (let token: string | undefined = ''; token !== undefined; ) {
      const page = await agents.list(filter, { size: Math.min(PAGE, limit), token });
      for (const agent of page.items) if (found.size < limit) found.set(agent.spiffeId, agent);
      const isFull = found.size >= limit;
      token = isFull || page.nextPageToken === '' ? undefined : page.nextPageToken;
    }
    if (found.size < limit) continue;
    const here = [...found.values()].filter((agent) => containsAllSelectors(agent.selectors, selectors)).length;
    leftOut = Math.max(leftOut, (await agents.count(filter)) - here);
  }
  const sorted = [...found.values()].toSorted((a, b) => (a.spiffeId < b.spiffeId ? -1 : 1));
  return { agents: sorted, notAttested, leftOut };
}

import type { Selector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';

/** An agent's selectors, with its own SPIFFE ID where node aliases may ask for that. */
export function withOwnSelector(
  selectors: readonly Selector[],
  spiffeId: SpiffeId,
  agentIdAsSelector: boolean,
): readonly Selector[] {
  return agentIdAsSelector ? [...selectors, { type: 'spiffe_id', value: spiffeId }] : selectors;
}

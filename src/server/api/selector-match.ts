import type { SetMatch } from '../../datastore/set-match.ts';
import {
  type FederatesWithMatch,
  SelectorMatch_MatchBehavior as MatchBehavior,
  type SelectorMatch,
} from '../../gen/spire/api/types/types.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { requireValidSelector, type Selector } from '../../spiffe/selector.ts';
import { parseTrustDomain, type TrustDomain } from '../../spiffe/trust-domain.ts';

export function fromSelectorMatch({ selectors, match }: SelectorMatch): {
  match: SetMatch;
  selectors: readonly Selector[];
} {
  if (selectors.length === 0)
    throw new SpiffeError('ARGUMENT_INVALID', 'the selector filter is empty: give one selector at least');
  selectors.forEach(requireValidSelector);
  return { match: setMatch(match), selectors };
}

export function fromFederatesWithMatch({ trustDomains, match }: FederatesWithMatch): {
  match: SetMatch;
  trustDomains: readonly TrustDomain[];
} {
  if (trustDomains.length === 0) {
    throw new SpiffeError('ARGUMENT_INVALID', 'the filter by federated trust domains is empty: give one at least');
  }
  return { match: setMatch(match), trustDomains: trustDomains.map(parseTrustDomain) };
}

function setMatch(behavior: MatchBehavior): SetMatch {
  switch (behavior) {
    case MatchBehavior.MATCH_EXACT:
      return 'exact';
    case MatchBehavior.MATCH_SUBSET:
      return 'subset';
    case MatchBehavior.MATCH_SUPERSET:
      return 'superset';
    case MatchBehavior.MATCH_ANY:
      return 'any';
    default:
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        `match behavior ${behavior} is not one of exact, subset, superset, any`,
      );
  }
}

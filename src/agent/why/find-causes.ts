import { formatSelector } from '../../spiffe/selector.ts';
import { agentCauses } from './agent-causes.ts';
import { attestorCauses } from './attestor-causes.ts';
import { elsewhereCauses } from './elsewhere-causes.ts';
import { entryCauses } from './entry-causes.ts';
import type { Finding, ShowSelector } from './finding.ts';
import { identityFindings, wantedCauses } from './identity-findings.ts';
import type { WorkloadFacts } from './workload-facts.ts';

/** Why a workload gets what it gets: the most important first, one at least. */
export function findCauses(facts: WorkloadFacts, show: ShowSelector = formatSelector): readonly Finding[] {
  const given = identityFindings(facts);
  const wrong = wantedCauses(facts);
  if (given.length > 0 && wrong.length === 0) return [...given, ...attestorCauses(facts, show)];
  return [
    ...wrong,
    ...agentCauses(facts),
    ...attestorCauses(facts, show),
    ...entryCauses(facts, show),
    ...elsewhereCauses(facts, show),
    ...given,
  ];
}

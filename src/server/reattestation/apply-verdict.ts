import type { AgentRepository, AttestedAgent } from '../../datastore/agent-repository.ts';
import type { Logger } from '../../log/logger.ts';
import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { withOwnSelector } from '../attestation/own-selector.ts';
import type { OnChange } from './reattestation-settings.ts';

/** What a round of evidence came to. */
export type Evidence =
  | { readonly isProven: true; readonly selectors: readonly Selector[] }
  /** Why the attestor refused it, for the operator. */
  | { readonly isProven: false; readonly reason: string };

/** `held`: nothing new. `changed`: other selectors. `lost`: refused, or no longer what a policy wants. */
export type Verdict = 'held' | 'changed' | 'lost';

export interface VerdictOptions {
  readonly agents: Pick<AgentRepository, 'update' | 'ban'>;
  readonly agentIdAsSelector: boolean;
  readonly metrics: Metrics;
  readonly log: Logger;
}

const POLICY = /^policy:/;
const METRIC = ['agent_reattestation', 'verdict'];

/**
 * Has an agent's selectors be what its evidence proves. Where that is less than its policy wants, it loses them, is banned, or is
 * only warned of, as configured; evidence that is good again gives them back, but to the banned.
 *
 * @param before the verdict before this one on the same stream
 */
export async function applyVerdict(
  agent: AttestedAgent,
  evidence: Evidence,
  onChange: OnChange,
  before: Verdict | undefined,
  { agents, agentIdAsSelector, metrics, log }: VerdictOptions,
): Promise<Verdict> {
  const { spiffeId, attestationType } = agent;
  const proven = withOwnSelector(evidence.isProven ? evidence.selectors : [], spiffeId, agentIdAsSelector);
  const verdict = verdictOn(agent, evidence, proven);
  metrics
    .counter(METRIC, [
      { name: 'attestor', value: attestationType },
      { name: 'verdict', value: verdict },
    ])
    .add(1);
  if (verdict === 'held') return verdict;
  const fields = { agent_id: spiffeId, attestor: attestationType };
  if (verdict === 'changed') {
    log.info('agent has shown something else than before: its selectors change', fields);
    await agents.update(spiffeId, { selectors: proven });
    return verdict;
  }
  const reason = evidence.isProven ? 'no policy holds any longer' : evidence.reason;
  const say = before === 'lost' ? log.debug.bind(log) : log.warning.bind(log); // once, and not at every interval
  say('agent is no longer what its policy wants', { ...fields, action: onChange, reason });
  if (onChange === 'ban') await agents.ban(spiffeId);
  if (onChange === 'selectors' && !areSame(agent.selectors, proven)) {
    await agents.update(spiffeId, { selectors: proven });
  }
  return verdict;
}

function verdictOn(agent: AttestedAgent, evidence: Evidence, proven: readonly Selector[]): Verdict {
  if (!evidence.isProven || (hasPolicy(agent.selectors) && !hasPolicy(evidence.selectors))) return 'lost';
  return areSame(agent.selectors, proven) ? 'held' : 'changed';
}

function hasPolicy(selectors: readonly Selector[]): boolean {
  return selectors.some(({ value }) => POLICY.test(value));
}

function areSame(one: readonly Selector[], other: readonly Selector[]): boolean {
  const texts = (selectors: readonly Selector[]) => [...new Set(selectors.map(formatSelector))].toSorted().join('\n');
  return texts(one) === texts(other);
}

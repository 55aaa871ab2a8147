import { statusOf } from '../../rpc/status.ts';
import { messageOf } from '../../spiffe/error.ts';
import { Status } from '../../spiffe/status.ts';
import type { Finding, ShowSelector } from './finding.ts';
import type { EntryFacts, WorkloadFacts } from './workload-facts.ts';

const MAX_SHOWN = 3;

/** Attestors that failed, and those that entries would need and are not there. */
export function attestorCauses(facts: WorkloadFacts, show: ShowSelector): readonly Finding[] {
  const { outcomes, agent } = facts;
  if (agent.attestors.length === 0) {
    return [
      {
        code: 'NO_ATTESTOR',
        text: 'The agent has no workload attestor, so every process is like every other: put one into the section "plugins" of its configuration, such as WorkloadAttestor "unix" {}.',
      },
    ];
  }
  return [...outcomes.flatMap((outcome) => failed(outcome, facts)), ...notLoaded(facts, show)];
}

function failed({ name, error }: WorkloadFacts['outcomes'][number], { entries }: WorkloadFacts): readonly Finding[] {
  if (error === undefined) return [];
  const reason = messageOf(error).replace(`workloadattestor(${name}): `, '');
  const needing = entries.filter(({ missing }) => missing.some(({ type }) => type === name));
  const lost = needing.length === 0 ? '' : `, among them ${idsOf(needing)}`;
  return [
    {
      code: 'ATTESTOR_FAILED',
      text: `The workload attestor "${name}" failed: ${reason}. Entries that ask for its selectors cannot match until then${lost}; ${adviceOn(error, name)}.`,
    },
  ];
}

function adviceOn(error: unknown, name: string): string {
  switch (statusOf(error)) {
    case Status.PermissionDenied:
      return `let the agent's user (uid ${process.geteuid?.()}) open what it names, for a socket by its group, and start the agent again`;
    case Status.DeadlineExceeded:
      return 'see that what it asks answers in time';
    default:
      return `"assayer agent plugin list" tells how "${name}" is doing`;
  }
}

function notLoaded({ entries, agent }: WorkloadFacts, show: ShowSelector): readonly Finding[] {
  const byType = new Map<string, EntryFacts[]>();
  for (const found of entries) {
    for (const { type } of found.missing) {
      if (agent.attestors.includes(type)) continue;
      const known = byType.get(type) ?? [];
      byType.set(type, [...known, found]);
    }
  }
  return [...byType].slice(0, MAX_SHOWN).map(([type, needing]) => {
    const example = needing[0]?.missing.find((selector) => selector.type === type);
    return {
      code: 'ATTESTOR_NOT_LOADED',
      text: `${idsOf(needing)} ${needing.length === 1 ? 'asks' : 'ask'} for ${example === undefined ? type : show(example)}, and this agent has no workload attestor "${type}" (it has ${agent.attestors.join(', ')}): put WorkloadAttestor "${type}" {} into the section "plugins" of its configuration and start it again, or change the entry.`,
    } as const;
  });
}

/** `entry 1 (spiffe://…) and 3 more`. */
function idsOf(entries: readonly EntryFacts[]): string {
  const [first, ...rest] = entries;
  if (first === undefined) return 'no entry';
  const more = rest.length === 0 ? '' : ` and ${rest.length} more`;
  return `entry ${first.entry.id} (${first.entry.spiffeId})${more}`;
}

import {
  type Effect,
  ExplainDefinition,
  Effect_Kind as Kind,
  type PreviewEntriesRequest,
  type PreviewEntriesResponse,
} from '../gen/assayer/server/explain/v1/explain.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { formatSelector } from '../spiffe/selector.ts';
import { Status } from '../spiffe/status.ts';
import type { AdminContext } from './admin-channel.ts';
import { formatApiId } from './api-ids.ts';
import { toggle } from './flag-kinds.ts';
import { formatCount, onOneLine, statusName } from './output.ts';

export const dryRunFlag = toggle('Only show which agents would gain or lose what; nothing is changed');

const NAMES: Readonly<Record<number, string>> = {
  [Kind.GAINS]: 'GAINS',
  [Kind.LOSES]: 'LOSES',
  [Kind.CHANGES]: 'CHANGES',
};
const VERBS: Readonly<Record<number, string>> = {
  [Kind.GAINS]: 'would gain',
  [Kind.LOSES]: 'would lose',
  [Kind.CHANGES]: 'would get in another form',
};

/** Shows what changes of entries would do. @throws SpiffeError where one of them would be refused, after all was shown */
export async function previewChanges(
  changes: Partial<PreviewEntriesRequest>,
  { client, show, terminal }: AdminContext,
): Promise<void> {
  const request = { create: [], update: [], delete: [], ...changes };
  const answer = await client(ExplainDefinition).previewEntries(request);
  const effects = answer.effects.map((effect) => ({ ...effect, kind: NAMES[effect.kind] ?? effect.kind }));
  const refused = answer.results.filter((result) => result.code !== Status.Ok);
  show({ ...answer, effects }, () => {
    terminal.print(formatPreview(answer));
    answer.results.forEach((result, index) => {
      if (result.code === Status.Ok) return;
      const reason = `(code: ${statusName(result.code)}, msg: ${JSON.stringify(result.message)})`;
      terminal.printError(`Change ${index + 1} of ${answer.results.length} would be refused ${reason}\n`);
    });
  });
  if (refused.length > 0) throw new SpiffeError('FAILED_PRECONDITION', 'one or more changes would be refused');
}

/** Which agents would gain, lose or get what in another form. */
export function formatPreview({ effects, agents, agentsLeftOut, notAttested }: PreviewEntriesResponse): string {
  const looked = `Nothing was changed. ${formatCount(agents, 'attested agent', 'attested agents')} looked at`;
  const more = agentsLeftOut === 0 ? '' : `; ${agentsLeftOut} more are concerned in the same way`;
  const absent = notAttested.map((id) => `${formatApiId(id)} is not attested: it would get its share once it is\n`);
  const none = effects.length === 0 ? 'No agent would gain or lose anything\n' : '';
  return [`${looked}${more}.\n`, ...absent, none, ...effects.map(formatEffect)].join('');
}

function formatEffect({ kind, entry, agents, agentCount }: Effect): string {
  const who = formatCount(agentCount, 'agent', 'agents');
  const selectors = (entry?.selectors ?? []).map(formatSelector).join(', ');
  const head = `${who} ${VERBS[kind] ?? kind} ${formatApiId(entry?.spiffeId)} for ${onOneLine(selectors)}:\n`;
  const named = agents.map((agent) => `  ${formatApiId(agent)}\n`);
  const rest = agentCount > agents.length ? [`  and ${agentCount - agents.length} more\n`] : [];
  return [head, ...named, ...rest].join('');
}

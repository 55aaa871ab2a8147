import { ExplainDefinition } from '../../../gen/assayer/server/explain/v1/explain.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { parseSelector } from '../../../spiffe/selector.ts';
import { adminCommand } from '../../admin-channel.ts';
import { parseApiId } from '../../api-ids.ts';
import { text, texts } from '../../flag-kinds.ts';
import { formatCount } from '../../output.ts';
import { formatAgentState, formatExplainedEntry, withNames } from '../../print-explanation.ts';

export const entryExplain = adminCommand({
  summary: 'Explain which entries match an identity, an agent or selectors, and what those lack that nearly do',
  flags: {
    spiffeID: text('Only entries that give this SPIFFE ID', 'ID'),
    agent: text('SPIFFE ID of the agent that the workload runs under', 'ID'),
    selector: texts('A property that the workload has', 'TYPE:VALUE'),
  },
  run: async ({ spiffeID, agent, selector }, { client, show, terminal }) => {
    if (spiffeID === '' && agent === '' && selector.length === 0) {
      throw new SpiffeError('ARGUMENT_INVALID', 'give -spiffeID, -agent or -selector, or several of them');
    }
    const answer = await client(ExplainDefinition).explainEntries({
      spiffeId: spiffeID === '' ? undefined : parseApiId(spiffeID, '-spiffeID'),
      agentId: agent === '' ? undefined : parseApiId(agent, '-agent'),
      selectors: selector.map(parseSelector),
    });
    show(withNames(answer), () => {
      if (answer.agent !== undefined) terminal.print(`${formatAgentState(answer.agent)}\n`);
      const matching = answer.entries.filter(({ matches }) => matches).length;
      const others = answer.entries.length - matching + answer.leftOut;
      const rest = others === 0 ? '' : `, ${formatCount(others, 'other', 'others')} nearly`;
      terminal.print(`${formatCount(matching, 'entry matches', 'entries match')}${rest}\n\n`);
      for (const entry of answer.entries) terminal.print(formatExplainedEntry(entry, answer.agent !== undefined));
      if (answer.leftOut > 0) terminal.print(`${answer.leftOut} more are not shown: ask for less\n`);
    });
  },
});

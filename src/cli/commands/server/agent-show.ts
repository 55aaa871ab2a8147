import { AgentDefinition } from '../../../gen/spire/api/server/agent/v1/agent.ts';
import { adminCommand } from '../../admin-channel.ts';
import { parseApiId, requireGiven } from '../../api-ids.ts';
import { text } from '../../flag-kinds.ts';
import { formatAgent, formatAgentField } from '../../list-agents.ts';

export const agentShow = adminCommand({
  summary: 'Show an attested agent with its selectors',
  flags: { spiffeID: text('SPIFFE ID of the agent', 'ID') },
  run: async ({ spiffeID }, { client, show, terminal }) => {
    requireGiven(spiffeID, 'give the -spiffeID of the agent');
    const id = parseApiId(spiffeID, '-spiffeID');
    const agent = await client(AgentDefinition).getAgent({ id, outputMask: undefined });
    show(agent, () => {
      terminal.print(`Found an attested agent given its SPIFFE ID\n\n${formatAgent(agent)}`);
      for (const { type, value } of agent.selectors) terminal.print(formatAgentField('Selectors', `${type}:${value}`));
    });
  },
});

import { AgentDefinition } from '../../../gen/spire/api/server/agent/v1/agent.ts';
import { adminCommand } from '../../admin-channel.ts';
import { parseApiId, requireGiven } from '../../api-ids.ts';
import { text } from '../../flag-kinds.ts';

export const agentEvict = adminCommand({
  summary: 'Forget an agent, which may attest again',
  flags: { spiffeID: text('SPIFFE ID of the agent', 'ID') },
  run: async ({ spiffeID }, { client, show, terminal }) => {
    requireGiven(spiffeID, 'give the -spiffeID of the agent');
    const answer = await client(AgentDefinition).deleteAgent({ id: parseApiId(spiffeID, '-spiffeID') });
    show(answer, () => terminal.print('Agent evicted successfully\n'));
  },
});

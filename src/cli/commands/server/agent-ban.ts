import { AgentDefinition } from '../../../gen/spire/api/server/agent/v1/agent.ts';
import { adminCommand } from '../../admin-channel.ts';
import { parseApiId, requireGiven } from '../../api-ids.ts';
import { text } from '../../flag-kinds.ts';

export const agentBan = adminCommand({
  summary: 'Ban an agent, which cannot attest until it is evicted',
  flags: { spiffeID: text('SPIFFE ID of the agent', 'ID') },
  run: async ({ spiffeID }, { client, show, terminal }) => {
    requireGiven(spiffeID, 'give the -spiffeID of the agent');
    const answer = await client(AgentDefinition).banAgent({ id: parseApiId(spiffeID, '-spiffeID') });
    show(answer, () => terminal.print('Agent banned successfully\n'));
  },
});

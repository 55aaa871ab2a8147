import { AgentDefinition } from '../../../gen/spire/api/server/agent/v1/agent.ts';
import { adminCommand } from '../../admin-channel.ts';
import { agentFilterFlags, agentFilterOf } from '../../agent-filter.ts';
import { formatCount } from '../../output.ts';

export const agentCount = adminCommand({
  summary: 'Count attested agents',
  flags: agentFilterFlags,
  run: async (values, { client, show, terminal }) => {
    const answer = await client(AgentDefinition).countAgents({ filter: agentFilterOf(values) });
    show(answer, () => terminal.print(`${formatCount(answer.count, 'attested agent', 'attested agents')}\n`));
  },
});

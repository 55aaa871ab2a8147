import { adminCommand } from '../../admin-channel.ts';
import { agentFilterFlags, agentFilterOf } from '../../agent-filter.ts';
import { formatAgent, listAgents } from '../../list-agents.ts';
import { formatCount } from '../../output.ts';

export const agentList = adminCommand({
  summary: 'List attested agents',
  flags: agentFilterFlags,
  run: async (values, context) => {
    const agents = await listAgents(context, agentFilterOf(values));
    context.show({ agents, nextPageToken: '' }, () => {
      if (agents.length === 0) return context.terminal.print('No attested agents found\n');
      context.terminal.print(`Found ${formatCount(agents.length, 'attested agent', 'attested agents')}:\n\n`);
      for (const agent of agents) context.terminal.print(formatAgent(agent));
    });
  },
});

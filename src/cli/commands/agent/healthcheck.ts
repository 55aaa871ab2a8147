import { defineCommand } from '../../command.ts';
import { checkHealth, healthFlags } from '../../health.ts';
import { AGENT_SOCKET, socketFlags } from '../../socket-path.ts';

export const agentHealthcheck = defineCommand({
  summary: 'Tell whether the agent is healthy',
  flags: { ...healthFlags, ...socketFlags(AGENT_SOCKET) },
  run: (values, terminal) => checkHealth(AGENT_SOCKET, values, terminal),
});

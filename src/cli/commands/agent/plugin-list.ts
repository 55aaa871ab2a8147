import { askAgent } from '../../agent-plugins.ts';
import { defineCommand } from '../../command.ts';
import { listPlugins } from '../../list-plugins.ts';
import { outputFlag } from '../../output.ts';
import { AGENT_SOCKET, socketFlags } from '../../socket-path.ts';

export const agentPluginList = defineCommand({
  summary: "List the agent's plugins and how they are doing, as the agent's user or root",
  flags: { ...socketFlags(AGENT_SOCKET), output: outputFlag },
  run: (values, terminal) => askAgent(values, terminal, (plugins) => listPlugins(plugins, values.output, terminal)),
});

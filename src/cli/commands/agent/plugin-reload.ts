import { askAgent } from '../../agent-plugins.ts';
import { defineCommand } from '../../command.ts';
import { outputFlag } from '../../output.ts';
import { RELOAD_OPERANDS, reloadFlags, reloadPlugin } from '../../reload-plugin.ts';
import { AGENT_SOCKET, socketFlags } from '../../socket-path.ts';

export const agentPluginReload = defineCommand({
  summary: "Start one of the agent's plugins anew, and switch to it once it is ready; as the agent's user or root",
  flags: { ...reloadFlags, ...socketFlags(AGENT_SOCKET), output: outputFlag },
  operands: RELOAD_OPERANDS,
  flagsFollow: true,
  run: (values, terminal, operands) =>
    askAgent(values, terminal, (plugins) => reloadPlugin(plugins, values, operands, terminal)),
});

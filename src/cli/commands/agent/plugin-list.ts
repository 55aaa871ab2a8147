import { PluginsDefinition } from '../../../gen/assayer/plugin/v1/plugin.ts';
import { RpcChannel } from '../../../rpc/channel.ts';
import { createClient } from '../../../rpc/client.ts';
import { defineCommand } from '../../command.ts';
import { listPlugins } from '../../list-plugins.ts';
import { outputFlag } from '../../output.ts';
import { AGENT_SOCKET, explainCallError, resolveSocketPath, socketFlags } from '../../socket-path.ts';

export const agentPluginList = defineCommand({
  summary: "List the agent's plugins and how they are doing, as the agent's user or root",
  flags: { ...socketFlags(AGENT_SOCKET), output: outputFlag },
  run: async (values, terminal) => {
    const path = resolveSocketPath(AGENT_SOCKET, values, terminal.env);
    using channel = RpcChannel.unix(path);
    try {
      await listPlugins(createClient(PluginsDefinition, channel), values.output, terminal);
    } catch (error) {
      throw await explainCallError(error, path, AGENT_SOCKET);
    }
  },
});

import { PluginsDefinition } from '../gen/assayer/plugin/v1/plugin.ts';
import { RpcChannel } from '../rpc/channel.ts';
import { type Client, createClient } from '../rpc/client.ts';
import type { FlagValues } from './flags.ts';
import { AGENT_SOCKET, explainCallError, resolveSocketPath, type socketFlags } from './socket-path.ts';
import type { Terminal } from './terminal.ts';

/** Asks a running agent about its plugins, as the agent's user or root. */
export async function askAgent(
  values: FlagValues<ReturnType<typeof socketFlags>>,
  terminal: Terminal,
  ask: (plugins: Client<typeof PluginsDefinition>) => Promise<void>,
): Promise<void> {
  const path = resolveSocketPath(AGENT_SOCKET, values, terminal.env);
  using channel = RpcChannel.unix(path);
  try {
    await ask(createClient(PluginsDefinition, channel));
  } catch (error) {
    throw await explainCallError(error, path, AGENT_SOCKET);
  }
}

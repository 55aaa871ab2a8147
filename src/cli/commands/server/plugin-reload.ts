import { PluginsDefinition } from '../../../gen/assayer/plugin/v1/plugin.ts';
import { adminCommand } from '../../admin-channel.ts';
import { RELOAD_OPERANDS, reloadFlags, reloadPlugin } from '../../reload-plugin.ts';

export const serverPluginReload = adminCommand({
  summary: "Start one of the server's plugins anew, and switch to it once it is ready",
  flags: reloadFlags,
  operands: RELOAD_OPERANDS,
  run: ({ type }, { client, terminal, isJson }, operands) =>
    reloadPlugin(client(PluginsDefinition), { type, output: isJson ? 'json' : 'pretty' }, operands, terminal),
});

import { PluginsDefinition } from '../../../gen/assayer/plugin/v1/plugin.ts';
import { adminCommand } from '../../admin-channel.ts';
import { listPlugins } from '../../list-plugins.ts';

export const serverPluginList = adminCommand({
  summary: "List the server's plugins and how they are doing",
  flags: {},
  run: (_values, { client, terminal, isJson }) =>
    listPlugins(client(PluginsDefinition), isJson ? 'json' : 'pretty', terminal),
});

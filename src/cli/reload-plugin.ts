import type { PluginsDefinition } from '../gen/assayer/plugin/v1/plugin.ts';
import type { Client } from '../rpc/client.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { text } from './flag-kinds.ts';
import { formatPlugin } from './list-plugins.ts';
import { formatProtoJson } from './output.ts';
import type { Terminal } from './terminal.ts';

export const reloadFlags = {
  type: text('Type of the plugin, such as KeyManager, where two have the name', 'TYPE'),
};

/** What follows the command. */
export const RELOAD_OPERANDS = 'NAME';

/** A start has limits of its own for each step, and the key check one; this is more than all of them. */
const DEADLINE_MS = 400_000;

/** Has a program put a new process in the place of a plugin's, and prints how that is doing. */
export async function reloadPlugin(
  client: Client<typeof PluginsDefinition>,
  { type, output }: { readonly type: string; readonly output: 'pretty' | 'json' },
  operands: readonly string[],
  terminal: Terminal,
): Promise<void> {
  const [name, ...rest] = operands;
  if (name === undefined || rest.length > 0) {
    throw new SpiffeError('ARGUMENT_INVALID', 'give the name of one plugin, as in the configuration');
  }
  const { plugin } = await client.reloadPlugin({ name, type }, { deadlineMs: DEADLINE_MS });
  if (plugin === undefined) throw new SpiffeError('INTERNAL', 'the program does not say how the plugin is doing');
  if (output === 'json') return terminal.print(formatProtoJson(plugin));
  terminal.print(`Plugin was reloaded:\n\n${formatPlugin(plugin, new Date())}`);
}

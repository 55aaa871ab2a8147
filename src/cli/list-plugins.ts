import { formatDurationSeconds } from '../config/duration.ts';
import type { PluginState, PluginsDefinition } from '../gen/assayer/plugin/v1/plugin.ts';
import type { Client } from '../rpc/client.ts';
import { formatCount, formatField, formatProtoJson } from './output.ts';
import type { Terminal } from './terminal.ts';

const WIDTH = 12;
const DEADLINE_MS = 10_000;

/** Asks a program how its plugins are doing, and prints the answer. */
export async function listPlugins(
  client: Client<typeof PluginsDefinition>,
  output: 'pretty' | 'json',
  terminal: Terminal,
): Promise<void> {
  const answer = await client.listPlugins({}, { deadlineMs: DEADLINE_MS });
  if (output === 'json') return terminal.print(formatProtoJson(answer));
  const { plugins } = answer;
  terminal.print(`Found ${formatCount(plugins.length, 'plugin', 'plugins')}:\n\n`);
  for (const plugin of plugins) terminal.print(formatPlugin(plugin, new Date()));
}

/** One field a line, with an empty line at its end; a plugin without a process has fewer. */
export function formatPlugin(plugin: PluginState, now: Date): string {
  const { name, type, builtin, version, state, pid, generation, restarts, lastError, startedAt, memoryBytes } = plugin;
  const { sandbox } = plugin;
  const uptimeSeconds = Math.max(0, Math.floor(now.getTime() / 1000) - Number(startedAt));
  const rows: readonly (readonly [name: string, value: unknown])[] = [
    ['Name', name],
    ['Kind', type],
    ['Built in', builtin],
    ...(version === '' ? [] : [['Version', version] as const]),
    ['State', state],
    ...(generation === 0 ? [] : [['Generation', generation] as const, ['Restarts', restarts] as const]),
    ...(pid === 0 ? [] : [['Process', pid] as const, ['Uptime', formatDurationSeconds(uptimeSeconds)] as const]),
    ...(memoryBytes === 0n ? [] : [['Memory', formatMemory(Number(memoryBytes))] as const]),
    ...(pid === 0 ? [] : [['Sandbox', sandbox.join(', ') || 'none'] as const]),
    ...(lastError === '' ? [] : [['Last error', lastError] as const]),
  ];
  return `${rows.map(([field, value]) => formatField(field, value, WIDTH)).join('')}\n`;
}

/** `23.4 MB`, in millions of bytes. */
export function formatMemory(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

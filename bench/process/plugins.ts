import { fileURLToPath } from 'node:url';
import type { PluginConfig } from '../../src/config/plugins.ts';
import { buildGo } from '../../test/harness/go.ts';
import { pluginConfig } from './host.ts';

/** One plugin of the kinds that are called most, with what its program needs besides. */
export interface HotPlugin {
  /** Such as `key manager, ours`. */
  readonly name: string;
  readonly side: 'server' | 'agent';
  readonly plugin: PluginConfig;
  readonly others: readonly PluginConfig[];
}

const GO_MODULE = fileURLToPath(new URL('../../test/interop/go-plugins', import.meta.url));

const SQL = pluginConfig({ type: 'DataStore', name: 'sql' });
const JOIN_TOKEN = pluginConfig({ type: 'NodeAttestor', name: 'join_token' });
const MEMORY = pluginConfig({ type: 'KeyManager', name: 'memory' });
const UNIX = pluginConfig({ type: 'WorkloadAttestor', name: 'unix' });

/** Ours, and next to each the one in Go of the same kind, made with SPIRE's SDK; without Go, ours alone. */
export async function hotPlugins(report: (line: string) => void): Promise<readonly HotPlugin[]> {
  const keyManagers = { side: 'server', others: [SQL] } as const;
  const attestors = { side: 'agent', others: [JOIN_TOKEN, MEMORY] } as const;
  const ours: readonly HotPlugin[] = [
    { ...keyManagers, name: 'key manager, ours', plugin: MEMORY },
    { ...attestors, name: 'workload attestor, ours', plugin: UNIX },
  ];
  try {
    const [keyManager, attestor] = await Promise.all(
      ['key-manager', 'workload-attestor'].map((folder) => buildGo(GO_MODULE, folder, 'go-plugin-1.8.mod')),
    );
    const inGo = (type: string, command: string) => pluginConfig({ type, name: 'go', command });
    return [
      ...ours,
      { ...keyManagers, name: 'key manager in Go', plugin: inGo('KeyManager', keyManager ?? '') },
      { ...attestors, name: 'workload attestor in Go', plugin: inGo('WorkloadAttestor', attestor ?? '') },
    ].toSorted((a, b) => a.name.localeCompare(b.name));
  } catch (error) {
    report(`no plugins in Go: ${error instanceof Error ? error.message : String(error)}`);
    return ours;
  }
}

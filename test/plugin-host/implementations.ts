import { fileURLToPath } from 'node:url';
import { describe } from 'vitest';
import type { PluginConfig } from '../../src/config/plugins.ts';
import type { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import type { BuiltinPlugins } from '../../src/plugin-host/to-plugin-spec.ts';
import type { PluginSide } from '../../src/rpc/go-plugin.ts';
import { builtPlugin } from '../harness/built-programs.ts';
import { describeWithGo } from '../harness/requires.ts';
import {
  GO_BUILDS,
  type GoBuild,
  type GoPlugin,
  goPlugin,
  JOIN_TOKEN,
  pluginConfig,
  SQL,
  type TestHost,
} from './go-plugins.ts';

/** One way to make and to run the same plugins, which exist twice: in Go, and with our own SDK. */
export interface Implementation {
  /** Of whose making. */
  readonly made: 'ours' | 'go';
  readonly autoMtls: boolean;
  plugin(kind: GoPlugin, ...args: readonly string[]): Promise<Pick<PluginConfig, 'command' | 'args' | 'autoMtls'>>;
}

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const ours = [false, true].map(
  (autoMtls): Implementation => ({
    made: 'ours',
    autoMtls,
    plugin: async (kind, ...args) => ({
      command: process.execPath,
      args: [source(`../interop/sdk-plugins/${kind}.ts`), ...args],
      autoMtls,
    }),
  }),
);

const inGo = ({ goPluginVersion, autoMtls }: GoBuild): Implementation => ({
  made: 'go',
  autoMtls,
  plugin: async (kind, ...args) => ({ command: await goPlugin(kind, goPluginVersion), args, autoMtls }),
});

/**
 * A contract that every implementation of a kind of plugin keeps, over AutoMTLS too.
 *
 * @param builds of the plugin in Go.
 */
export function describePlugins(
  name: string,
  body: (implementation: Implementation) => void,
  builds: readonly GoBuild[] = GO_BUILDS,
): void {
  for (const implementation of ours)
    describe(`${name}, of our SDK, AutoMTLS ${implementation.autoMtls}`, () => body(implementation));
  describeWithGo(`${name}, of SPIRE’s SDK`, () => {
    for (const build of builds) {
      describe(`with go-plugin ${build.goPluginVersion}, AutoMTLS ${build.autoMtls}`, () => body(inGo(build)));
    }
  });
}

const builtinsOf =
  (side: PluginSide): BuiltinPlugins =>
  (type, name) =>
    type === 'KeyManager' && name === 'memory'
      ? { command: process.execPath, args: [builtPlugin(side, 'memory')] }
      : undefined;

const MEMORY = pluginConfig({ type: 'KeyManager', name: 'memory' });

/** A server with these plugins and what it cannot be without. */
export async function loadServer(host: TestHost, plugins: readonly PluginConfig[]): Promise<PluginCatalog> {
  return await host.load('server', [SQL, MEMORY, ...plugins], { builtins: builtinsOf('server') });
}

/** An agent with these plugins and what it cannot be without, but for a workload attestor. */
export async function loadAgent(host: TestHost, plugins: readonly PluginConfig[]): Promise<PluginCatalog> {
  return await host.load('agent', [JOIN_TOKEN, MEMORY, ...plugins], { builtins: builtinsOf('agent') });
}

/** The value of a loaded plugin, which is there. */
export function requireLoaded<Facade>(facade: Facade | undefined): Facade {
  if (facade === undefined) throw new Error('the plugin was not loaded');
  return facade;
}

import type { LogRecord } from '../../../src/log/logger.ts';
import type { PluginCatalog } from '../../../src/plugin-host/catalog.ts';
import { builtinPlugins } from '../../harness/built-programs.ts';
import { pluginConfig, TestHost } from '../../plugin-host/go-plugins.ts';

/** The plugin in its own process, loaded as an agent does. */
export class LoadedDockerPlugin implements AsyncDisposable {
  readonly #catalog: PluginCatalog;
  readonly #host: TestHost;

  private constructor(catalog: PluginCatalog, host: TestHost) {
    this.#catalog = catalog;
    this.#host = host;
  }

  static async load(text: string): Promise<LoadedDockerPlugin> {
    const host = new TestHost();
    const plugins = [
      pluginConfig({ type: 'KeyManager', name: 'memory' }),
      pluginConfig({ type: 'NodeAttestor', name: 'join_token' }),
      pluginConfig({ type: 'WorkloadAttestor', name: 'docker', data: { text } }),
    ];
    return new LoadedDockerPlugin(await host.load('agent', plugins, { builtins: builtinPlugins('agent') }), host);
  }

  get records(): readonly LogRecord[] {
    return this.#host.records;
  }

  /** @returns the values of its selectors, sorted. */
  async attest(pid: number): Promise<readonly string[]> {
    const [attestor] = this.#catalog.workloadAttestors;
    if (attestor === undefined) throw new Error('the plugin is not loaded');
    const selectors = await attestor.attest(pid, AbortSignal.timeout(25_000));
    return selectors.map(({ type, value }) => `${type}:${value}`).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#catalog[Symbol.asyncDispose]();
  }
}

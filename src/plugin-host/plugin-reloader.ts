import type { PluginConfig } from '../config/plugins.ts';
import { findFileState } from '../files/file-state.ts';
import type { Logger } from '../log/logger.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import type { Plugin } from './plugin.ts';
import { type PluginSpec, pluginLogFields } from './plugin-spec.ts';
import { type SpecOptions, toPluginSpecs } from './to-plugin-spec.ts';

export interface ReloaderOptions extends SpecOptions {
  /** The configuration as it is now; absent, it does not change. */
  readonly readPlugins?: () => Promise<readonly PluginConfig[]>;
  readonly log: Logger;
}

/** How often a `plugin_data_file` is looked at. One that was written is taken once it has not changed for so long. */
const WATCH_MS = 1_000;

/** Puts new processes in the place of plugins': when it is asked to, and when a `plugin_data_file` was written. */
export class PluginReloader implements AsyncDisposable {
  readonly #plugins: readonly Plugin[];
  readonly #options: ReloaderOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #seen = new Map<Plugin, SeenFile>();
  #watching: Promise<void> = Promise.resolve();
  #isBusy = false;

  constructor(plugins: readonly Plugin[], options: ReloaderOptions) {
    this.#plugins = plugins;
    this.#options = options;
    this.#timer = setInterval(() => this.#look(), WATCH_MS).unref();
  }

  /**
   * Starts a plugin anew, with the executable and the configuration as they are now.
   *
   * @param type needed where two plugins have the name; empty for any.
   * @throws SpiffeError `PLUGIN_NOT_FOUND`; `CONFIG_INVALID`; otherwise why the old process goes on
   */
  async reload(name: string, type = ''): Promise<void> {
    const plugin = this.#find(name, type);
    await this.#reload(plugin, await this.#specOf(plugin));
  }

  /** Reloads every plugin whose executable or configuration has changed. One that fails is logged, and goes on as it was. */
  async reloadChanged(): Promise<void> {
    await Promise.all(
      this.#plugins.map(async (plugin) => {
        await this.#logged(plugin, async () => {
          const spec = await this.#specOf(plugin);
          if (await plugin.isOutdated(spec)) await this.#reload(plugin, spec);
        });
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#isBusy = true;
    await this.#watching;
  }

  async #reload(plugin: Plugin, spec: PluginSpec): Promise<void> {
    const log = this.#options.log.child(pluginLogFields(spec));
    log.info('plugin is reloaded', { pid: plugin.pid });
    await plugin.reload(spec);
    log.info('plugin was reloaded', { pid: plugin.pid, generation: plugin.health.generation });
  }

  async #logged(plugin: Plugin, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const reason = messageOf(error);
      this.#options.log.child(pluginLogFields(plugin.spec)).error('plugin was not reloaded and goes on', { reason });
    }
  }

  #find(name: string, type: string): Plugin {
    const named = this.#plugins.filter((plugin) => plugin.name === name);
    const found = type === '' ? named : named.filter((plugin) => plugin.type === type);
    const [plugin, ...others] = found;
    if (plugin === undefined) {
      const all = this.#plugins.map(describe).join(', ');
      const wanted = type === '' ? JSON.stringify(name) : `${type} ${JSON.stringify(name)}`;
      throw new SpiffeError('PLUGIN_NOT_FOUND', `no plugin ${wanted} runs here, but ${all}`);
    }
    if (others.length > 0) {
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        `there are ${found.map(describe).join(' and ')}: say which type is meant`,
      );
    }
    return plugin;
  }

  /** @throws SpiffeError `CONFIG_INVALID` where the configuration has mistakes, or has the plugin no more */
  async #specOf(plugin: Plugin): Promise<PluginSpec> {
    const { readPlugins } = this.#options;
    if (readPlugins === undefined) return plugin.spec;
    const specs = toPluginSpecs({ ...this.#options, plugins: await readPlugins() });
    const spec = specs.find(({ type, name }) => type === plugin.type && name === plugin.name);
    if (spec !== undefined) return spec;
    throw new SpiffeError(
      'CONFIG_INVALID',
      `the configuration has ${describe(plugin)} no more: it is unloaded when the program is started again`,
    );
  }

  #look(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#watching = Promise.all(this.#plugins.map((plugin) => this.#lookAt(plugin))).then(() => {
      this.#isBusy = false;
    });
  }

  async #lookAt(plugin: Plugin): Promise<void> {
    const { data } = plugin.spec;
    const now = data !== undefined && 'file' in data ? await findFileState(data.file) : undefined;
    if (now === undefined) return;
    const seen = this.#seen.get(plugin);
    const isStable = seen?.state === now;
    if (isStable && seen.isTaken) return;
    this.#seen.set(plugin, { state: now, isTaken: isStable });
    if (!isStable || !(await plugin.isOutdated(plugin.spec))) return;
    await this.#logged(plugin, async () => await this.#reload(plugin, await this.#specOf(plugin)));
  }
}

interface SeenFile {
  readonly state: string;
  /** It was compared with what the plugin has. */
  readonly isTaken: boolean;
}

function describe({ type, name }: { readonly type: string; readonly name: string }): string {
  return `${type} ${JSON.stringify(name)}`;
}

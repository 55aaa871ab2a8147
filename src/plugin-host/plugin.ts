import type { Client } from '../rpc/client.ts';
import type { ServiceDefinition } from '../rpc/definition.ts';
import type { PluginSide, PluginType } from '../rpc/go-plugin.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { toPluginError } from './plugin-error.ts';
import { type GenerationOptions, type PluginEndpoint, PluginGeneration } from './plugin-generation.ts';
import { describeExit } from './plugin-process.ts';
import { type PluginSpec, pluginLogFields } from './plugin-spec.ts';

/** A loaded plugin. Facades hold on to it and reach, by each call, the generation that runs at that moment. */
export class Plugin implements AsyncDisposable {
  readonly spec: PluginSpec;
  readonly #generation: PluginGeneration;

  private constructor(spec: PluginSpec, generation: PluginGeneration) {
    this.spec = spec;
    this.#generation = generation;
  }

  /** @throws SpiffeError `PLUGIN_NOT_LOADED`, naming the plugin */
  static async start(spec: PluginSpec, options: GenerationOptions): Promise<Plugin> {
    const log = options.log.child(pluginLogFields(spec));
    const started = performance.now();
    const generation = await PluginGeneration.start(spec, { ...options, log });
    log.info('plugin loaded', { pid: generation.pid, ready_ms: Math.round(performance.now() - started) });
    return new Plugin(spec, generation);
  }

  get name(): string {
    return this.spec.name;
  }

  get type(): PluginType {
    return this.spec.type;
  }

  get side(): PluginSide {
    return this.spec.side;
  }

  get pid(): number {
    return this.#generation.pid;
  }

  get startedAt(): Date {
    return this.#generation.startedAt;
  }

  get endpoint(): PluginEndpoint {
    return this.#generation.endpoint;
  }

  get isRunning(): boolean {
    return this.#generation.exit === undefined;
  }

  /**
   * Runs a call of a facade against the plugin of the moment.
   *
   * @throws what the plugin answered, or what the host found wrong with it, with the plugin's prefix.
   */
  async run<Result>(call: (generation: PluginGeneration) => Promise<Result>): Promise<Result> {
    const generation = this.#generation;
    try {
      const { exit } = generation;
      if (exit !== undefined) {
        throw new SpiffeError('PLUGIN_EXITED', `the plugin's process ${describeExit(exit)}`);
      }
      return await call(generation);
    } catch (error) {
      throw await this.explain(error, generation);
    }
  }

  /** The error of a call that `generation` did not do well, as the facade's caller sees it. */
  async explain(error: unknown, generation: PluginGeneration): Promise<unknown> {
    return toPluginError(this, await generation.explain(error));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#generation[Symbol.asyncDispose]();
  }
}

/** One service of a plugin: the client belongs to the generation, and is made anew with it. */
export class PluginService<Definition extends ServiceDefinition> {
  readonly #definition: Definition;
  readonly #clients = new WeakMap<PluginGeneration, Client<Definition>>();

  constructor(definition: Definition) {
    this.#definition = definition;
  }

  of(generation: PluginGeneration): Client<Definition> {
    const known = this.#clients.get(generation);
    if (known !== undefined) return known;
    const client = generation.client(this.#definition);
    this.#clients.set(generation, client);
    return client;
  }
}

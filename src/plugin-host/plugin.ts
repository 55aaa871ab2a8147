import type { Client } from '../rpc/client.ts';
import type { ServiceDefinition } from '../rpc/definition.ts';
import type { PluginSide, PluginType } from '../rpc/go-plugin.ts';
import { isSpiffeError } from '../spiffe/error.ts';
import { toPluginError } from './plugin-error.ts';
import type { PluginEndpoint, PluginGeneration } from './plugin-generation.ts';
import { generationOptions, type HostOptions } from './plugin-options.ts';
import type { PluginSpec } from './plugin-spec.ts';
import { type PluginHealth, PluginSupervisor, type RequireSuccessor } from './plugin-supervisor.ts';

export interface RunOptions {
  /** Doing the call twice does no harm: it is tried once more when the plugin ended in its middle. */
  readonly repeatable?: boolean;
  /** What it does would be lost if the plugin were replaced meanwhile: it is done before or after that. */
  readonly changes?: boolean;
  readonly signal?: AbortSignal;
}

/** A loaded plugin. Facades hold on to it and reach, by each call, the generation that runs at that moment. */
export class Plugin implements AsyncDisposable {
  readonly type: PluginType;
  readonly side: PluginSide;
  readonly name: string;
  readonly #supervisor: PluginSupervisor;
  #requireSuccessor: RequireSuccessor = async () => {};

  private constructor(supervisor: PluginSupervisor) {
    const { type, side, name } = supervisor.spec;
    this.type = type;
    this.side = side;
    this.name = name;
    this.#supervisor = supervisor;
  }

  /** @throws SpiffeError `PLUGIN_NOT_LOADED`, naming the plugin */
  static async start(spec: PluginSpec, options: HostOptions): Promise<Plugin> {
    return new Plugin(await PluginSupervisor.start(spec, generationOptions(spec, options)));
  }

  get spec(): PluginSpec {
    return this.#supervisor.spec;
  }

  get pid(): number {
    return this.#supervisor.generation.pid;
  }

  get startedAt(): Date {
    return this.#supervisor.generation.startedAt;
  }

  /** The path is the same through restarts; one-time certificates are not: see {@link onEndpointChange}. */
  get endpoint(): PluginEndpoint {
    return this.#supervisor.socket.endpoint;
  }

  /** Tells of the endpoint of every generation to come. @returns what ends that */
  onEndpointChange(listener: (endpoint: PluginEndpoint) => void): Disposable {
    return this.#supervisor.socket.subscribe(listener);
  }

  /** What the sandbox of its process is made of. */
  get sandbox(): readonly string[] {
    return this.#supervisor.generation.sandbox;
  }

  /** The text that it is configured with: of `plugin_data_file`, as the file was then. */
  get configuration(): string {
    return this.#supervisor.generation.configuration;
  }

  get version(): string | undefined {
    return this.#supervisor.generation.version;
  }

  get health(): PluginHealth {
    return this.#supervisor.health;
  }

  /**
   * Runs a call of a facade against the plugin of the moment; while there is none, it waits for the next.
   *
   * @throws what the plugin answered, or what the host found wrong with it, with the plugin's prefix.
   */
  async run<Result>(
    call: (generation: PluginGeneration) => Promise<Result>,
    options: RunOptions = {},
  ): Promise<Result> {
    if (options.changes === true) {
      return await this.#supervisor.change(() => this.run(call, { ...options, changes: false }));
    }
    const generation = await this.#ready(options.signal);
    try {
      using _held = generation.hold();
      return await call(generation);
    } catch (error) {
      const explained = await generation.explain(error);
      if (options.repeatable !== true || !isSpiffeError(explained, 'PLUGIN_EXITED'))
        throw toPluginError(this, explained);
    }
    return await this.runOn(await this.#ready(options.signal), call);
  }

  /** Runs a call that belongs to a generation, such as the next of a conversation. @throws as {@link run} */
  async runOn<Result>(
    generation: PluginGeneration,
    call: (generation: PluginGeneration) => Promise<Result>,
  ): Promise<Result> {
    try {
      using _held = generation.hold();
      return await call(generation);
    } catch (error) {
      throw await this.explain(error, generation);
    }
  }

  /** The error of a call that `generation` did not do well, as the facade's caller sees it. */
  async explain(error: unknown, generation: PluginGeneration): Promise<unknown> {
    return toPluginError(this, await generation.explain(error));
  }

  /** What the plugin's kind demands of a process that is to come after another. */
  requireOfSuccessor(check: RequireSuccessor): void {
    this.#requireSuccessor = check;
  }

  /** Whether the executable and the configuration of `spec` are other than those that it was started from. */
  async isOutdated(spec: PluginSpec): Promise<boolean> {
    return await this.#supervisor.isOutdated(spec);
  }

  /** Puts a new process in the place of the one there is. @throws SpiffeError where that one goes on */
  async reload(spec: PluginSpec): Promise<void> {
    await this.#supervisor.replace(spec, this.#requireSuccessor);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#supervisor[Symbol.asyncDispose]();
  }

  async #ready(signal: AbortSignal | undefined): Promise<PluginGeneration> {
    try {
      return await this.#supervisor.ready(signal);
    } catch (error) {
      throw toPluginError(this, error);
    }
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

import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '../rpc/client.ts';
import type { ServiceDefinition } from '../rpc/definition.ts';
import type { PluginSide, PluginType } from '../rpc/go-plugin.ts';
import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import { watchHealth } from './health-watch.ts';
import { toPluginError } from './plugin-error.ts';
import { type GenerationOptions, type PluginEndpoint, PluginGeneration } from './plugin-generation.ts';
import { describeExit } from './plugin-process.ts';
import { type PluginSpec, pluginLogFields } from './plugin-spec.ts';
import { RestartPolicy } from './restart-policy.ts';
import { StableSocket } from './stable-socket.ts';

/** How a plugin is doing, for people. */
export interface PluginHealth {
  readonly state: 'running' | 'restarting' | 'unhealthy';
  /** 1 for the first process, and one more with every other. */
  readonly generation: number;
  readonly restarts: number;
  /** Why the last process ended, or the last start failed. */
  readonly lastError: string | undefined;
}

export interface RunOptions {
  /** Doing the call twice does no harm: it is tried once more when the plugin ended in its middle. */
  readonly repeatable?: boolean;
  readonly signal?: AbortSignal;
}

/** How long a call waits for a plugin that is being restarted. */
const READY_WAIT_MS = 10_000;

/**
 * A loaded plugin. Facades hold on to it and reach, by each call, the generation that runs at that moment.
 * One that ends by itself is started again, with pauses that grow.
 */
export class Plugin implements AsyncDisposable {
  readonly spec: PluginSpec;
  readonly #options: GenerationOptions;
  readonly #socket: StableSocket;
  readonly #policy = new RestartPolicy();
  readonly #stopping = new AbortController();
  #generation: PluginGeneration;
  /** Settles with the generation that comes next; present while none runs. */
  #next: PromiseWithResolvers<void> | undefined;
  #count = 1;
  #lastError: string | undefined;
  readonly #supervision: Promise<void>;

  private constructor(
    spec: PluginSpec,
    options: GenerationOptions,
    socket: StableSocket,
    generation: PluginGeneration,
  ) {
    this.spec = spec;
    this.#options = options;
    this.#socket = socket;
    this.#generation = generation;
    this.#supervision = this.#supervise();
  }

  /** @throws SpiffeError `PLUGIN_NOT_LOADED`, naming the plugin */
  static async start(spec: PluginSpec, options: GenerationOptions): Promise<Plugin> {
    const withLog = { ...options, log: options.log.child(pluginLogFields(spec)) };
    await using undo = new AsyncDisposableStack();
    const socket = undo.use(await StableSocket.create());
    const generation = await startGeneration(spec, withLog, socket);
    undo.move();
    return new Plugin(spec, withLog, socket, generation);
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

  /** The path is the same through restarts; one-time certificates are not. */
  get endpoint(): PluginEndpoint {
    return { ...this.#generation.endpoint, socketPath: this.#socket.path };
  }

  get health(): PluginHealth {
    const state = this.#policy.isUnhealthy ? 'unhealthy' : this.#next === undefined ? 'running' : 'restarting';
    return { state, generation: this.#count, restarts: this.#count - 1, lastError: this.#lastError };
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
    const generation = await this.#ready(options.signal);
    try {
      return await call(generation);
    } catch (error) {
      const explained = await generation.explain(error);
      if (options.repeatable !== true || !isSpiffeError(explained, 'PLUGIN_EXITED'))
        throw toPluginError(this, explained);
    }
    const next = await this.#ready(options.signal);
    try {
      return await call(next);
    } catch (error) {
      throw await this.explain(error, next);
    }
  }

  /** The error of a call that `generation` did not do well, as the facade's caller sees it. */
  async explain(error: unknown, generation: PluginGeneration): Promise<unknown> {
    return toPluginError(this, await generation.explain(error));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#supervision;
    await this.#generation[Symbol.asyncDispose]();
    await this.#socket[Symbol.asyncDispose]();
  }

  async #supervise(): Promise<void> {
    const { log, deadlines } = this.#options;
    const { signal } = this.#stopping;
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    for (;;) {
      const generation = this.#generation;
      const readyAt = performance.now();
      void watchHealth(generation, { intervalMs: deadlines.healthIntervalMs, deadlineMs: deadlines.healthMs }, log);
      await Promise.race([generation.ended, stopped]);
      if (signal.aborted) return;
      this.#next ??= Promise.withResolvers();
      this.#lastError = generation.exit && `its process ${describeExit(generation.exit)}`;
      await generation[Symbol.asyncDispose]();
      const started = await this.#startNext(performance.now() - readyAt);
      if (!started) return;
    }
  }

  /** @returns false where the plugin was stopped meanwhile. */
  async #startNext(ranForMs: number): Promise<boolean> {
    const { log } = this.#options;
    const { signal } = this.#stopping;
    for (let pauseMs = this.#policy.fail(ranForMs); ; pauseMs = this.#policy.fail(0)) {
      if (this.#policy.isUnhealthy) {
        log.error('plugin is unhealthy: it keeps ending', {
          reason: this.#lastError,
          next_start_ms: Math.round(pauseMs),
        });
      }
      await delay(pauseMs, undefined, { signal }).catch(() => {}); // ends with the plugin
      if (signal.aborted) {
        this.#next?.resolve();
        return false;
      }
      try {
        this.#generation = await startGeneration(this.spec, { ...this.#options, signal }, this.#socket);
      } catch (error) {
        if (signal.aborted) continue;
        this.#lastError = error instanceof Error ? error.message : String(error);
        log.error('plugin was not restarted', { reason: this.#lastError });
        continue;
      }
      this.#count += 1;
      this.#next?.resolve();
      this.#next = undefined;
      return true;
    }
  }

  /** @throws SpiffeError `PLUGIN_EXITED` where none runs and none comes in time. */
  async #ready(callSignal?: AbortSignal): Promise<PluginGeneration> {
    // The supervisor may not have noticed yet.
    if (this.#generation.exit !== undefined) this.#next ??= Promise.withResolvers();
    const next = this.#next;
    if (next === undefined) return this.#generation;
    if (!this.#policy.isUnhealthy) {
      const signals = [AbortSignal.timeout(READY_WAIT_MS), this.#stopping.signal, ...(callSignal ? [callSignal] : [])];
      const limit = AbortSignal.any(signals);
      await Promise.race([
        next.promise,
        new Promise<void>((resolve) => limit.addEventListener('abort', () => resolve(), { once: true })),
      ]);
    }
    if (this.#next === undefined && !this.#stopping.signal.aborted) return this.#generation;
    throw toPluginError(
      this,
      new SpiffeError('PLUGIN_EXITED', `the plugin is not running: ${this.#lastError ?? 'it was stopped'}`),
    );
  }
}

async function startGeneration(
  spec: PluginSpec,
  options: GenerationOptions,
  socket: StableSocket,
): Promise<PluginGeneration> {
  const started = performance.now();
  const generation = await PluginGeneration.start(spec, options);
  await socket.pointTo(generation.endpoint.socketPath);
  options.log.info('plugin loaded', { pid: generation.pid, ready_ms: Math.round(performance.now() - started) });
  return generation;
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

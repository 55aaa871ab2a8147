import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { aborted } from './aborted.ts';
import { watchHealth } from './health-watch.ts';
import { describeExit } from './plugin-carrier.ts';
import { type GenerationOptions, PluginGeneration } from './plugin-generation.ts';
import type { PluginSpec } from './plugin-spec.ts';
import { RestartPolicy } from './restart-policy.ts';
import { type SourceState, sourceStateOf } from './source-state.ts';
import { StableSocket } from './stable-socket.ts';

/** How a plugin is doing, for people. */
export interface PluginHealth {
  readonly state: 'running' | 'restarting' | 'unhealthy';
  /** Whether there is a process to call; an unhealthy plugin has one, too, until it has run for a while. */
  readonly runs: boolean;
  /** 1 for the first process, and one more with every other. */
  readonly generation: number;
  /** Processes that ended by themselves and were followed by another. */
  readonly restarts: number;
  /** Why the last process ended, or the last start failed. */
  readonly lastError: string | undefined;
}

/** Refuses a generation that must not come after the other, before it does. */
export type RequireSuccessor = (before: PluginGeneration, after: PluginGeneration) => Promise<void>;

/** How long a call waits for a plugin that is being restarted. */
const READY_WAIT_MS = 10_000;

/**
 * Keeps one generation of a plugin running: one that ends by itself is started again, with pauses that grow; one that is
 * to be replaced goes on until the other can be called.
 */
export class PluginSupervisor implements AsyncDisposable {
  readonly #options: GenerationOptions;
  readonly #socket: StableSocket;
  readonly #stopping = new AbortController();
  readonly #changes = new Set<Promise<unknown>>();
  readonly #drains = new Set<Promise<void>>();
  #spec: PluginSpec;
  /** What the generation was started from. */
  #source: SourceState;
  #generation: PluginGeneration;
  #policy = new RestartPolicy();
  /** Settles with the generation that comes next; present while none runs. */
  #next: PromiseWithResolvers<void> | undefined;
  /** Aborted when a generation takes the place of another. */
  #replacement = new AbortController();
  /** Settles when the replacement has come, or not; present while one is tried. */
  #replacing: PromiseWithResolvers<void> | undefined;
  #turn: Promise<void> = Promise.resolve();
  #count = 1;
  #restarts = 0;
  #lastError: string | undefined;
  readonly #supervision: Promise<void>;

  private constructor(
    spec: PluginSpec,
    source: SourceState,
    options: GenerationOptions,
    socket: StableSocket,
    generation: PluginGeneration,
  ) {
    this.#spec = spec;
    this.#source = source;
    this.#options = options;
    this.#socket = socket;
    this.#generation = generation;
    this.#supervision = this.#supervise();
  }

  /** @throws SpiffeError `PLUGIN_NOT_LOADED`, naming the plugin */
  static async start(spec: PluginSpec, options: GenerationOptions): Promise<PluginSupervisor> {
    await using undo = new AsyncDisposableStack();
    const socket = undo.use(await StableSocket.create());
    const source = await sourceStateOf(spec);
    const generation = undo.use(await start(spec, options, ['configure']));
    await socket.pointTo(generation.endpoint);
    undo.move();
    return new PluginSupervisor(spec, source, options, socket, generation);
  }

  get spec(): PluginSpec {
    return this.#spec;
  }

  /** The newest one, which may have ended. */
  get generation(): PluginGeneration {
    return this.#generation;
  }

  /** The same through all generations. */
  get socket(): StableSocket {
    return this.#socket;
  }

  get health(): PluginHealth {
    const runs = this.#next === undefined;
    const state = this.#policy.isUnhealthy ? 'unhealthy' : runs ? 'running' : 'restarting';
    return { state, runs, generation: this.#count, restarts: this.#restarts, lastError: this.#lastError };
  }

  /**
   * The generation that runs, or the next one.
   *
   * @throws SpiffeError `PLUGIN_EXITED` where none runs and none comes in time.
   */
  async ready(callSignal?: AbortSignal): Promise<PluginGeneration> {
    // The supervisor may not have noticed yet.
    if (this.#generation.exit !== undefined) this.#next ??= Promise.withResolvers();
    const next = this.#next;
    if (next === undefined) return this.#generation;
    if (!this.#policy.isUnhealthy) {
      const signals = [AbortSignal.timeout(READY_WAIT_MS), this.#stopping.signal, ...(callSignal ? [callSignal] : [])];
      await Promise.race([next.promise, aborted(AbortSignal.any(signals))]);
    }
    if (this.#next === undefined && !this.#stopping.signal.aborted) return this.#generation;
    throw new SpiffeError('PLUGIN_EXITED', `the plugin is not running: ${this.#lastError ?? 'it was stopped'}`);
  }

  /** Does what must not be lost between two generations: it ends before a replacement starts, or begins when that has come. */
  async change<Result>(work: () => Promise<Result>): Promise<Result> {
    while (this.#replacing !== undefined) await this.#replacing.promise;
    const change = work();
    this.#changes.add(change);
    try {
      return await change;
    } finally {
      this.#changes.delete(change);
    }
  }

  /** Whether a plugin that is started from `spec` now would be another than the one that runs. */
  async isOutdated(spec: PluginSpec): Promise<boolean> {
    return (await sourceStateOf(spec)) !== this.#source;
  }

  /**
   * Starts another generation, asks it whether it takes its configuration, and puts it in the place of the one there is,
   * which ends when its calls have. Where anything fails that one goes on.
   *
   * @throws SpiffeError `FAILED_PRECONDITION` while another replacement is tried; `PLUGIN_NOT_LOADED`; what
   *   `requireSuccessor` throws
   */
  async replace(spec: PluginSpec, requireSuccessor: RequireSuccessor): Promise<void> {
    if (this.#replacing !== undefined) {
      throw new SpiffeError('FAILED_PRECONDITION', `plugin "${spec.name}" is being reloaded already`);
    }
    const replacing = Promise.withResolvers<void>();
    this.#replacing = replacing;
    try {
      await Promise.allSettled(this.#changes);
      await using undo = new AsyncDisposableStack();
      const source = await sourceStateOf(spec);
      const { signal } = this.#stopping;
      const generation = undo.use(await start(spec, { ...this.#options, signal }, ['validate', 'configure']));
      await this.#inTurn(async () => {
        const before = this.#generation;
        if (before.exit === undefined) await requireSuccessor(before, generation);
        await this.#socket.pointTo(generation.endpoint);
        if (signal.aborted) throw new SpiffeError('CANCELLED', `plugin "${spec.name}" is being stopped`);
        undo.move();
        this.#spec = spec;
        this.#serve(generation, source);
        this.#policy = new RestartPolicy();
        this.#lastError = undefined;
        this.#replacement.abort();
        this.#replacement = new AbortController();
        this.#drain(before);
      });
    } finally {
      this.#replacing = undefined;
      replacing.resolve();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#supervision, this.#replacing?.promise, ...this.#drains]);
    await this.#generation.end('the program');
    await this.#socket[Symbol.asyncDispose]();
  }

  /** Whoever waits for a generation has this one. */
  #serve(generation: PluginGeneration, source: SourceState): void {
    this.#generation = generation;
    this.#source = source;
    this.#count += 1;
    this.#next?.resolve();
    this.#next = undefined;
  }

  /** Puts one generation in place at a time: of two that come at once, one would be left running, and nobody's. */
  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {}); // whoever waits for it is told
    await turn;
  }

  #drain(generation: PluginGeneration): void {
    const { log, deadlines } = this.#options;
    const drain = generation.drain(deadlines.drainMs, this.#stopping.signal).then(async (open) => {
      if (open > 0) log.warning('calls of a plugin that was replaced are ended', { pid: generation.pid, calls: open });
      await generation.end(this.#stopping.signal.aborted ? 'the program' : 'the plugin');
      this.#drains.delete(drain);
    });
    this.#drains.add(drain);
  }

  async #supervise(): Promise<void> {
    const { log, deadlines } = this.#options;
    const { signal } = this.#stopping;
    const stopped = aborted(signal);
    while (!signal.aborted) {
      const generation = this.#generation;
      const readyAt = performance.now();
      void watchHealth(generation, { intervalMs: deadlines.healthIntervalMs, deadlineMs: deadlines.healthMs }, log);
      await Promise.race([generation.ended, aborted(this.#replacement.signal), stopped]);
      if (signal.aborted || this.#generation !== generation) continue;
      this.#next ??= Promise.withResolvers();
      this.#lastError = generation.exit && `its process ${describeExit(generation.exit)}`;
      await this.#inTurn(async () => {
        if (this.#generation === generation) await this.#socket.pointNowhere();
      });
      if (this.#generation !== generation) continue;
      await generation[Symbol.asyncDispose]();
      await this.#startNext(performance.now() - readyAt);
    }
    this.#next?.resolve();
  }

  /** Until one runs: its own, or one that was put in place meanwhile. */
  async #startNext(ranForMs: number): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#stopping;
    const replaced = this.#replacement.signal;
    const woken = AbortSignal.any([signal, replaced]);
    let pauseMs = this.#policy.fail(ranForMs);
    let isOver = false;
    while (!isOver) {
      if (this.#policy.isUnhealthy) {
        log.error('plugin is unhealthy: it keeps ending', {
          reason: this.#lastError,
          next_start_ms: Math.round(pauseMs),
        });
      }
      await delay(pauseMs, undefined, { signal: woken }).catch(() => {}); // ends with the plugin
      if (woken.aborted) return;
      try {
        await using undo = new AsyncDisposableStack();
        const source = await sourceStateOf(this.#spec);
        const generation = undo.use(await start(this.#spec, { ...this.#options, signal: woken }, ['configure']));
        await this.#inTurn(async () => {
          if (woken.aborted) return;
          await this.#socket.pointTo(generation.endpoint);
          undo.move();
          this.#serve(generation, source);
          this.#restarts += 1;
          this.#policy.run();
        });
        isOver = true;
      } catch (error) {
        if (woken.aborted) return;
        this.#lastError = messageOf(error);
        log.error('plugin was not restarted', { reason: this.#lastError });
        pauseMs = this.#policy.fail(0);
      }
    }
  }
}

async function start(
  spec: PluginSpec,
  options: GenerationOptions,
  steps: readonly ('validate' | 'configure')[],
): Promise<PluginGeneration> {
  const started = performance.now();
  const generation = await PluginGeneration.start(spec, options, steps);
  options.log.info('plugin loaded', { pid: generation.pid, ready_ms: Math.round(performance.now() - started) });
  return generation;
}

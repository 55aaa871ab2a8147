import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { ConfigDefinition } from '../gen/spire/service/common/config/v1/config.ts';
import type { Logger } from '../log/logger.ts';
import { AutoMtls, type AutoMtlsMaterial, createOneTimeIdentity, type OneTimeIdentity } from '../rpc/auto-mtls.ts';
import type { ObserveCalls } from '../rpc/call-observer.ts';
import type { CallTracer } from '../rpc/call-tracer.ts';
import type { CallOptions, Client } from '../rpc/client.ts';
import type { ServiceDefinition } from '../rpc/definition.ts';
import { handshakeEnvironment, PLUGIN_ENVIRONMENT, type PluginType } from '../rpc/go-plugin.ts';
import type { Handshake } from '../rpc/handshake.ts';
import type { BoundService } from '../rpc/service.ts';
import { RequestNotTaken } from '../rpc/unary-connection.ts';
import { isSpiffeError, messageOf, SpiffeError } from '../spiffe/error.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { aborted } from './aborted.ts';
import { AttachedPlugin } from './attached-plugin.ts';
import { takeChecked } from './checksum.ts';
import { configure, validate } from './configure.ts';
import { requireUsableHandshake } from './handshake-policy.ts';
import { HostServiceServer } from './host-service-server.ts';
import { openAsHost } from './open-as-host.ts';
import { describeExit, type PluginCarrier, type PluginExit } from './plugin-carrier.ts';
import { PluginConnection } from './plugin-connection.ts';
import { type LoadStep, toLoadError } from './plugin-error.ts';
import { withLastWords } from './plugin-process.ts';
import type { PluginDeadlines, PluginSpec } from './plugin-spec.ts';
import type { Sandbox } from './sandbox/sandbox.ts';
import { startConfined } from './sandbox/start-confined.ts';
import { matchServices } from './services.ts';
import { SocketFolder } from './socket-folder.ts';
import { findWhoMayChange } from './who-may-change.ts';

export interface GenerationOptions {
  readonly trustDomain: TrustDomain;
  readonly hostServices: readonly BoundService[];
  readonly deadlines: PluginDeadlines;
  readonly sandbox: Sandbox;
  /** Told how the calls of facades end. */
  readonly observe?: ObserveCalls | undefined;
  /** Follows the calls of facades, and those of host services. */
  readonly tracer?: CallTracer | undefined;
  /** Already says which plugin it is for. */
  readonly log: Logger;
  readonly signal?: AbortSignal | undefined;
}

/** What is done with a configuration once the plugin can be called, in this order. */
type ConfigurationStep = 'configure' | 'validate';

const ROOT = 0;
/** What a process that has ended answered before is read within this; calls that are open then have no answer. */
const LAST_ANSWERS_MS = 500;

/** Where the plugin's services can be called, for a thread that makes a connection of its own. */
export interface PluginEndpoint {
  readonly socketPath: string;
  readonly autoMtls?: AutoMtlsMaterial;
}

/**
 * One run of a plugin, from its process's start to its end: a restarted plugin is another generation.
 * Disposing lets the plugin end in good order.
 */
export class PluginGeneration implements AsyncDisposable {
  readonly startedAt = new Date();
  readonly endpoint: PluginEndpoint;
  /** The text that it took as its configuration. */
  readonly configuration: string;
  readonly #carrier: PluginCarrier;
  readonly #connection: PluginConnection;
  readonly #options: GenerationOptions;
  /** What lives longer than the process: its host services and its folder. */
  readonly #surroundings: AsyncDisposableStack;
  readonly #holds = new Set<object>();
  /** Settles when the last call has ended; present while that is waited for. */
  #drained: PromiseWithResolvers<void> | undefined;
  #disposal: Promise<void> | undefined;

  private constructor(parts: {
    readonly carrier: PluginCarrier;
    readonly socketPath: string;
    readonly connection: PluginConnection;
    readonly autoMtls: AutoMtls | undefined;
    readonly configuration: string;
    readonly options: GenerationOptions;
    readonly surroundings: AsyncDisposableStack;
  }) {
    this.configuration = parts.configuration;
    this.#carrier = parts.carrier;
    this.#connection = parts.connection;
    this.#options = parts.options;
    this.#surroundings = parts.surroundings;
    this.endpoint = {
      socketPath: parts.socketPath,
      ...(parts.autoMtls === undefined ? {} : { autoMtls: parts.autoMtls.material }),
    };
    void this.#watch();
  }

  /**
   * Starts a plugin and makes it ready: process, connection, Init, Configure.
   *
   * @param steps `validate` asks it about its configuration; without `configure` it is to be disposed then.
   * @throws SpiffeError `PLUGIN_NOT_LOADED`, or `CANCELLED` by the signal; nothing is left running.
   */
  static async start(
    spec: PluginSpec,
    options: GenerationOptions,
    steps: readonly ConfigurationStep[] = ['configure'],
  ): Promise<PluginGeneration> {
    await using undo = new AsyncDisposableStack();
    let step: LoadStep = 'load';
    try {
      const folder = undo.use(await SocketFolder.create());
      const identity = spec.autoMtls ? createOneTimeIdentity() : undefined;
      const carrier = await (spec.attach === undefined
        ? startProcess(spec, folder, identity, options)
        : attach(spec.attach, folder, options));
      undo.defer(async () => {
        carrier.kill();
        await carrier.exited;
      });
      try {
        const { handshake } = carrier;
        requireUsableHandshake(handshake, spec.autoMtls);
        const socketPath = spec.attach === undefined ? await folder.pinOwnSocket(handshake.address) : handshake.address;
        const autoMtls = identity && handshake.certificate ? new AutoMtls(identity, handshake.certificate) : undefined;
        const connection = await connect({ socketPath, type: spec.type }, autoMtls, carrier, options);
        undo.use(connection);
        if (carrier instanceof AttachedPlugin) carrier.watch(connection.lost);
        const { hostServices: services, log, deadlines, trustDomain, tracer } = options;
        const hostServer = undo.use(
          await HostServiceServer.listen({
            path: folder.join('host'),
            userId: folder.userId,
            services,
            autoMtls,
            tracer,
            log,
          }),
        );
        const hasConfig = await init(spec, connection, hostServer.path, options);
        const config = hasConfig ? connection.client(ConfigDefinition) : undefined;
        let configuration = '';
        for (step of steps) {
          const limits = callOptions(deadlines.configureMs, options);
          if (step === 'validate') await validate(config, spec.data, trustDomain, limits);
          else configuration = await configure(config, spec.data, trustDomain, limits);
        }
        undo.move();
        const surroundings = new AsyncDisposableStack();
        surroundings.use(folder);
        surroundings.use(hostServer);
        return new PluginGeneration({
          carrier,
          socketPath,
          connection,
          autoMtls,
          configuration,
          options,
          surroundings,
        });
      } catch (error) {
        const explained = await carrier.explain(error);
        if (carrier instanceof AttachedPlugin) throw explained;
        throw isSpiffeError(explained, 'PLUGIN_EXITED') ? withLastWords(explained, carrier.lastLines) : explained;
      }
    } catch (error) {
      if (!options.signal?.aborted) throw toLoadError(spec, step, error);
      throw toLoadError(spec, step, new SpiffeError('CANCELLED', 'its start was cancelled', { cause: error }));
    }
  }

  get pid(): number {
    return this.#carrier.pid;
  }

  /** What confines it; nothing where it is not confined. */
  get sandbox(): readonly string[] {
    return this.#carrier.sandbox;
  }

  get version(): string | undefined {
    return this.#carrier.version;
  }

  /** Undefined while the process runs. */
  get exit(): PluginExit | undefined {
    return this.#carrier.exit;
  }

  /** Settles when the process has ended, however it did. */
  get ended(): Promise<unknown> {
    return this.#carrier.exited;
  }

  /** @throws where the plugin does not say in time that it serves. */
  async requireHealthy(deadlineMs: number): Promise<void> {
    await this.#connection.requireHealthy({ deadlineMs });
  }

  /** Ends the process at once; whoever watches it starts another. */
  kill(): void {
    this.#carrier.kill();
  }

  /** Whoever holds it has a call under way, which {@link drain} waits for. */
  hold(): Disposable {
    const hold = {
      [Symbol.dispose]: () => {
        this.#holds.delete(hold);
        if (this.#holds.size === 0) this.#drained?.resolve();
      },
    };
    this.#holds.add(hold);
    return hold;
  }

  /** Waits until nobody holds it: another is called from now on. @returns how many still do. */
  async drain(limitMs: number, signal: AbortSignal): Promise<number> {
    this.#drained = Promise.withResolvers();
    if (this.#holds.size === 0) this.#drained.resolve();
    const limit = AbortSignal.any([AbortSignal.timeout(limitMs), signal]);
    await Promise.race([this.#drained.promise, aborted(limit), this.#carrier.exited]);
    return this.#holds.size;
  }

  /** `error`, or that the process has ended where that explains it. A plugin that reads no requests is ended. */
  async explain(error: unknown): Promise<unknown> {
    if (this.#disposal !== undefined && this.#drained !== undefined) {
      return new SpiffeError('PLUGIN_EXITED', 'the plugin was reloaded, and the process of this call is no more', {
        cause: error,
      });
    }
    if (error instanceof RequestNotTaken && this.exit === undefined) {
      this.#options.log.error('plugin reads no requests and is killed', { pid: this.pid, reason: error.message });
      this.kill();
    }
    return await this.#carrier.explain(error);
  }

  client<Definition extends ServiceDefinition>(definition: Definition): Client<Definition> {
    return this.#connection.client(definition, this.#options.observe, this.#options.tracer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('the plugin');
  }

  /** @param what ends: with the program, there is less time. */
  async end(what: 'the plugin' | 'the program'): Promise<void> {
    const { deinitMs, stopMs } = this.#options.deadlines;
    this.#disposal ??= this.#dispose(what === 'the program' ? Math.min(stopMs, deinitMs) : deinitMs);
    await this.#disposal;
  }

  async #dispose(deinitMs: number): Promise<void> {
    const { log } = this.#options;
    if (this.exit === undefined) {
      await this.#connection.deinit(deinitMs).catch((error: unknown) => {
        log.warning('plugin was not deinitialized', { error: messageOf(error) });
      });
    }
    this.#connection.closeBroker();
    if (this.exit === undefined) {
      await this.#carrier.end(this.#connection);
    }
    this.#connection[Symbol.dispose]();
    await this.#surroundings.disposeAsync();
  }

  async #watch(): Promise<void> {
    const exit = await this.#carrier.exited;
    if (this.#disposal === undefined) {
      this.#options.log.error('plugin process exited', { pid: this.pid, reason: describeExit(exit) });
    }
    await delay(LAST_ANSWERS_MS, undefined, { ref: false });
    await nextTurn(); // what has come meanwhile is read first
    this.#connection.cancelCalls();
  }
}

async function startProcess(
  spec: PluginSpec,
  folder: SocketFolder,
  identity: OneTimeIdentity | undefined,
  { deadlines, sandbox, log, signal }: GenerationOptions,
): Promise<PluginCarrier> {
  const { command, checksum } = spec;
  const executable = checksum === undefined ? undefined : await takeChecked(command, checksum, folder);
  if (checksum === undefined && !spec.builtin) await warnOfUnchecked(command, log);
  await openAsHost(spec.args);
  return await startConfined(
    spec,
    { sandbox, folder },
    {
      executable,
      environment: {
        ...handshakeEnvironment(spec.type),
        [PLUGIN_ENVIRONMENT.socketFolder]: folder.pluginPath,
        TMPDIR: folder.pluginPath, // for plugins that do not know the variable above: go-plugin before 1.5
        ...(identity === undefined ? {} : { [PLUGIN_ENVIRONMENT.clientCertificate]: identity.certificatePem }),
      },
      handshakeDeadlineMs: deadlines.handshakeMs,
      graceMs: deadlines.graceMs,
      log,
      signal,
    },
  );
}

/** The host services' socket becomes that of the plugin's user. */
async function attach(
  handshake: Handshake,
  folder: SocketFolder,
  { deadlines, log }: GenerationOptions,
): Promise<PluginCarrier> {
  const plugin = await AttachedPlugin.find(handshake, deadlines.connectMs);
  if (process.geteuid?.() === ROOT && plugin.userId !== ROOT) await folder.giveTo(plugin.userId);
  log.info('plugin runs already and is attached to', { pid: plugin.pid, user_id: plugin.userId });
  return plugin;
}

async function warnOfUnchecked(command: string, log: Logger): Promise<void> {
  log.warning('plugin checksum not configured');
  const reason = await findWhoMayChange(command);
  if (reason === undefined) return;
  log.warning('others can change what the plugin runs: take that right from them, or set plugin_checksum', { reason });
}

async function connect(
  { socketPath, type }: { readonly socketPath: string; readonly type: PluginType },
  autoMtls: AutoMtls | undefined,
  carrier: PluginCarrier,
  { deadlines }: GenerationOptions,
): Promise<PluginConnection> {
  const connecting = PluginConnection.open(socketPath, autoMtls, deadlines.connectMs, type);
  const connection = await Promise.race([connecting, carrier.exited]);
  if (connection instanceof PluginConnection) return connection;
  connecting.then(
    (late) => late[Symbol.dispose](),
    () => {},
  );
  throw new SpiffeError('PLUGIN_EXITED', 'the process has ended'); // `explain` says how
}

/** @returns whether the plugin takes a configuration. */
async function init(
  spec: PluginSpec,
  connection: PluginConnection,
  hostServicesPath: string,
  options: GenerationOptions,
): Promise<boolean> {
  const { hostServices, deadlines, log } = options;
  await connection.requireHealthy(callOptions(deadlines.connectMs, options));
  await connection.offerHostServices(hostServicesPath);
  const hostServiceNames = hostServices.map((service) => service.definition.fullName);
  const names = await connection.init(hostServiceNames, callOptions(deadlines.initMs, options));
  return matchServices(spec, names, log).hasConfig;
}

function callOptions(deadlineMs: number, { signal }: GenerationOptions): CallOptions {
  return { deadlineMs, ...(signal === undefined ? {} : { signal }) };
}

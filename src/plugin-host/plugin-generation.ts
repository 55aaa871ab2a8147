import { ConfigDefinition } from '../gen/spire/service/common/config/v1/config.ts';
import type { Logger } from '../log/logger.ts';
import { AutoMtls, type AutoMtlsMaterial, createOneTimeIdentity, type OneTimeIdentity } from '../rpc/auto-mtls.ts';
import type { CallOptions, Client } from '../rpc/client.ts';
import type { ServiceDefinition } from '../rpc/definition.ts';
import { handshakeEnvironment, PLUGIN_ENVIRONMENT } from '../rpc/go-plugin.ts';
import type { BoundService } from '../rpc/service.ts';
import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { requireChecksum } from './checksum.ts';
import { configure, validate } from './configure.ts';
import { requireUsableHandshake } from './handshake-policy.ts';
import { HostServiceServer } from './host-service-server.ts';
import { PluginConnection } from './plugin-connection.ts';
import { type LoadStep, toLoadError } from './plugin-error.ts';
import { describeExit, type PluginExit, type PluginProcess, withLastWords } from './plugin-process.ts';
import type { PluginDeadlines, PluginSpec } from './plugin-spec.ts';
import type { Sandbox } from './sandbox/sandbox.ts';
import { startConfined } from './sandbox/start-confined.ts';
import { matchServices } from './services.ts';
import { SocketFolder } from './socket-folder.ts';

export interface GenerationOptions {
  readonly trustDomain: TrustDomain;
  readonly hostServices: readonly BoundService[];
  readonly deadlines: PluginDeadlines;
  readonly sandbox: Sandbox;
  /** Already says which plugin it is for. */
  readonly log: Logger;
  readonly signal?: AbortSignal | undefined;
}

/** What is done with a configuration once the plugin can be called. */
type LastStep = 'configure' | 'validate';
const LAST_STEPS = { configure, validate } as const satisfies Record<LastStep, unknown>;

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
  readonly #process: PluginProcess;
  readonly #connection: PluginConnection;
  readonly #options: GenerationOptions;
  /** What lives longer than the process: its host services and its folder. */
  readonly #surroundings: AsyncDisposableStack;
  #disposal: Promise<void> | undefined;

  private constructor(parts: {
    readonly process: PluginProcess;
    readonly connection: PluginConnection;
    readonly autoMtls: AutoMtls | undefined;
    readonly options: GenerationOptions;
    readonly surroundings: AsyncDisposableStack;
  }) {
    this.#process = parts.process;
    this.#connection = parts.connection;
    this.#options = parts.options;
    this.#surroundings = parts.surroundings;
    this.endpoint = {
      socketPath: parts.process.handshake.address,
      ...(parts.autoMtls === undefined ? {} : { autoMtls: parts.autoMtls.material }),
    };
    void this.#watch();
  }

  /**
   * Starts a plugin and makes it ready: process, connection, Init, Configure.
   *
   * @param last `validate` asks it about its configuration instead: it is to be disposed then.
   * @throws SpiffeError `PLUGIN_NOT_LOADED`, or `CANCELLED` by the signal; nothing is left running.
   */
  static async start(
    spec: PluginSpec,
    options: GenerationOptions,
    last: LastStep = 'configure',
  ): Promise<PluginGeneration> {
    await using undo = new AsyncDisposableStack();
    let step: LoadStep = 'load';
    try {
      const folder = undo.use(await SocketFolder.create());
      const identity = spec.autoMtls ? createOneTimeIdentity() : undefined;
      const process = await startProcess(spec, folder, identity, options);
      undo.defer(async () => {
        process.kill();
        await process.exited;
      });
      try {
        const { handshake } = process;
        requireUsableHandshake(handshake, spec.autoMtls);
        await folder.requireOwnSocket(handshake.address);
        const autoMtls = identity && handshake.certificate ? new AutoMtls(identity, handshake.certificate) : undefined;
        const connection = await connect(handshake.address, autoMtls, process, options);
        undo.use(connection);
        const { hostServices: services, log, deadlines, trustDomain } = options;
        const hostServer = undo.use(
          await HostServiceServer.listen({ path: folder.join('host'), userId: folder.userId, services, autoMtls, log }),
        );
        const hasConfig = await init(spec, connection, hostServer.path, options);
        step = last;
        const config = hasConfig ? connection.client(ConfigDefinition) : undefined;
        await LAST_STEPS[last](config, spec.data, trustDomain, callOptions(deadlines.configureMs, options));
        undo.move();
        const surroundings = new AsyncDisposableStack();
        surroundings.use(folder);
        surroundings.use(hostServer);
        return new PluginGeneration({ process, connection, autoMtls, options, surroundings });
      } catch (error) {
        const explained = await process.explain(error);
        throw isSpiffeError(explained, 'PLUGIN_EXITED') ? withLastWords(explained, process.lastLines) : explained;
      }
    } catch (error) {
      if (!options.signal?.aborted) throw toLoadError(spec, step, error);
      throw toLoadError(spec, step, new SpiffeError('CANCELLED', 'its start was cancelled', { cause: error }));
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Undefined while the process runs. */
  get exit(): PluginExit | undefined {
    return this.#process.exit;
  }

  /** Settles when the process has ended, however it did. */
  get ended(): Promise<unknown> {
    return this.#process.exited;
  }

  /** @throws where the plugin does not say in time that it serves. */
  async requireHealthy(deadlineMs: number): Promise<void> {
    await this.#connection.requireHealthy({ deadlineMs });
  }

  /** Ends the process at once; whoever watches it starts another. */
  kill(): void {
    this.#process.kill();
  }

  /** `error`, or that the process has ended where that explains it. */
  async explain(error: unknown): Promise<unknown> {
    return await this.#process.explain(error);
  }

  client<Definition extends ServiceDefinition>(definition: Definition): Client<Definition> {
    return this.#connection.client(definition);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#dispose();
    await this.#disposal;
  }

  async #dispose(): Promise<void> {
    const { deadlines, log } = this.#options;
    if (this.exit === undefined) {
      await this.#connection.deinit(deadlines.deinitMs).catch((error: unknown) => {
        log.warning('plugin was not deinitialized', { error: error instanceof Error ? error.message : String(error) });
      });
    }
    this.#connection.closeBroker();
    if (this.exit === undefined) {
      await Promise.all([this.#connection.shutdown(deadlines.graceMs), this.#process[Symbol.asyncDispose]()]);
    }
    this.#connection[Symbol.dispose]();
    await this.#surroundings.disposeAsync();
  }

  async #watch(): Promise<void> {
    const exit = await this.#process.exited;
    if (this.#disposal !== undefined) return;
    this.#options.log.error('plugin process exited', { pid: this.pid, reason: describeExit(exit) });
  }
}

async function startProcess(
  spec: PluginSpec,
  folder: SocketFolder,
  identity: OneTimeIdentity | undefined,
  { deadlines, sandbox, log, signal }: GenerationOptions,
): Promise<PluginProcess> {
  if (spec.checksum !== undefined) await requireChecksum(spec.command, spec.checksum);
  else if (!spec.builtin) log.warning('plugin checksum not configured');
  return await startConfined(
    spec,
    { sandbox, folder },
    {
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

async function connect(
  path: string,
  autoMtls: AutoMtls | undefined,
  process: PluginProcess,
  { deadlines }: GenerationOptions,
): Promise<PluginConnection> {
  const connecting = PluginConnection.open(path, autoMtls, deadlines.connectMs);
  const connection = await Promise.race([connecting, process.exited]);
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

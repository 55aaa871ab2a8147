import { Logger } from '../../log/logger.ts';
import { PluginConnection } from '../../plugin-host/plugin-connection.ts';
import type { PluginProcess, PluginProcessOptions } from '../../plugin-host/plugin-process.ts';
import { SocketFolder } from '../../plugin-host/socket-folder.ts';
import { AutoMtls, createOneTimeIdentity, type OneTimeIdentity } from '../../rpc/auto-mtls.ts';
import { handshakeEnvironment, PLUGIN_ENVIRONMENT, type PluginType } from '../../rpc/go-plugin.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { startSupervised } from './supervised.ts';

/** Everything about a start but what is to be started. */
export type StartOptions = Omit<PluginProcessOptions, 'command' | 'args' | 'launcher'>;

export interface TrialOptions {
  /** Absolute path. */
  readonly command: string;
  readonly args: readonly string[];
  readonly handshakeDeadlineMs: number;
}

export interface TrialSettings {
  readonly autoMtls?: boolean;
  /** Takes the first lines on stderr, as a host's log has them. */
  readonly stderr?: string[];
  /** What it finds in its environment besides, or instead. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Told all that it writes to stderr. */
  readonly onStderr?: (chunk: Uint8Array) => void;
  /** Starts it in another way; absent, confined by nothing and with all variables of this process. */
  readonly start?: (folder: SocketFolder, options: StartOptions) => Promise<PluginProcess>;
}

/** From the request to end to SIGKILL, as go-plugin's hosts give. */
export const GRACE_MS = 2_000;

/** One start of a plugin that is looked at. Disposing ends it in whatever way it takes. */
export class Trial implements AsyncDisposable {
  readonly process: PluginProcess;
  readonly folder: SocketFolder;
  readonly startedAtMs: number;
  /** From the start of the process to its first line. */
  readonly handshakeMs: number;
  readonly log: Logger;
  readonly #identity: OneTimeIdentity | undefined;

  private constructor(parts: {
    readonly process: PluginProcess;
    readonly folder: SocketFolder;
    readonly startedAtMs: number;
    readonly log: Logger;
    readonly identity: OneTimeIdentity | undefined;
  }) {
    this.process = parts.process;
    this.folder = parts.folder;
    this.startedAtMs = parts.startedAtMs;
    this.handshakeMs = performance.now() - parts.startedAtMs;
    this.log = parts.log;
    this.#identity = parts.identity;
  }

  /** @throws as {@link PluginProcess.start} */
  static async start(
    { command, args, handshakeDeadlineMs }: TrialOptions,
    cookies: readonly PluginType[],
    { autoMtls = false, stderr = [], environment = {}, onStderr, start }: TrialSettings = {},
  ): Promise<Trial> {
    await using undo = new AsyncDisposableStack();
    const folder = undo.use(await SocketFolder.create());
    const identity = autoMtls ? createOneTimeIdentity() : undefined;
    const log = new Logger(({ message }) => void (stderr.length < MAX_LINES && stderr.push(message)), 'trace');
    const startedAtMs = performance.now();
    const startOptions: StartOptions = {
      environment: {
        ...Object.fromEntries(cookies.flatMap((type) => Object.entries(handshakeEnvironment(type)))),
        [PLUGIN_ENVIRONMENT.socketFolder]: folder.pluginPath,
        TMPDIR: folder.pluginPath,
        ...(identity === undefined ? {} : { [PLUGIN_ENVIRONMENT.clientCertificate]: identity.certificatePem }),
        ...environment,
      },
      handshakeDeadlineMs,
      graceMs: GRACE_MS,
      log,
      ...(onStderr === undefined ? {} : { onStderr }),
    };
    const process = await (start ?? startFreely(command, args))(folder, startOptions);
    undo.move();
    return new Trial({ process, folder, startedAtMs, log, identity });
  }

  /** The one-time certificates of both; undefined where AutoMTLS was not asked for, or not answered. */
  get autoMtls(): AutoMtls | undefined {
    const { certificate } = this.process.handshake;
    return this.#identity && certificate ? new AutoMtls(this.#identity, certificate) : undefined;
  }

  /** @throws SpiffeError where the plugin's socket takes no connection, or the process has ended. */
  async connect(autoMtls: AutoMtls | undefined, deadlineMs: number): Promise<PluginConnection> {
    const opening = PluginConnection.open(this.process.handshake.address, autoMtls, deadlineMs);
    const connection = await Promise.race([opening, this.process.exited]);
    if (connection instanceof PluginConnection) return connection;
    opening.then(
      (late) => late[Symbol.dispose](),
      () => {},
    );
    throw new SpiffeError('PLUGIN_EXITED', 'its process has ended'); // `explain` says how
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill();
    await this.process.exited;
    await this.folder[Symbol.asyncDispose]();
  }
}

/** Lines of stderr that are looked at. */
const MAX_LINES = 100;

function startFreely(command: string, args: readonly string[]): NonNullable<TrialSettings['start']> {
  return (_folder, options) => startSupervised({ ...options, command, args });
}

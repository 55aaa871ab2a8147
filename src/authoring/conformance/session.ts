import { GRPCControllerDefinition } from '../../gen/plugin/plugin.ts';
import { ConfigDefinition } from '../../gen/spire/service/common/config/v1/config.ts';
import { CONFIG_SERVICE_NAME } from '../../plugin-host/configure.ts';
import { requireUsableHandshake } from '../../plugin-host/handshake-policy.ts';
import { HostServiceServer } from '../../plugin-host/host-service-server.ts';
import { describeExit } from '../../plugin-host/plugin-carrier.ts';
import type { PluginConnection } from '../../plugin-host/plugin-connection.ts';
import { withLastWords } from '../../plugin-host/plugin-process.ts';
import type { Client } from '../../rpc/client.ts';
import type { ServiceDefinition } from '../../rpc/definition.ts';
import { statusOf } from '../../rpc/status.ts';
import { Status } from '../../spiffe/status.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { Trial, type TrialSettings } from '../trial/trial.ts';
import { KitHostServices } from './host-services.ts';
import { pause } from './pause.ts';
import type { SubjectOptions } from './subject.ts';

/** Of every call that the kit makes, unless a rule says otherwise. */
export const CALL_MS = 10_000;
const CONNECT_MS = 5_000;
/** How long the end of a process may be in coming to light once its connection has broken. */
const EXIT_MS = 1_000;

/**
 * One start of the plugin under test, taken as far as a rule needs: process, connection, Init, Configure. Each step is
 * done once. Disposing ends the process in whatever way it takes.
 */
export class Session implements AsyncDisposable {
  readonly trial: Trial;
  readonly host: KitHostServices;
  readonly #options: SubjectOptions;
  readonly #stack = new AsyncDisposableStack();
  #connection: Promise<PluginConnection> | undefined;
  #services: Promise<readonly string[]> | undefined;
  #ready: Promise<void> | undefined;
  #mayEnd = false;

  private constructor(trial: Trial, options: SubjectOptions) {
    this.trial = trial;
    this.#options = options;
    this.host = new KitHostServices(options.kind.side, options.trustDomain);
    this.#stack.use(trial);
  }

  static async start(options: SubjectOptions, settings: TrialSettings): Promise<Session> {
    const { command, args, handshakeDeadlineMs, kind } = options;
    return new Session(await Trial.start({ command, args, handshakeDeadlineMs }, [kind.type], settings), options);
  }

  connection(): Promise<PluginConnection> {
    this.#connection ??= this.#connect();
    return this.#connection;
  }

  /** Full names, as Init says. */
  services(): Promise<readonly string[]> {
    this.#services ??= this.#init();
    return this.#services;
  }

  /** Until the plugin can be called. */
  ready(): Promise<void> {
    this.#ready ??= this.configure(this.#options.configText);
    return this.#ready;
  }

  async client<Definition extends ServiceDefinition>(definition: Definition): Promise<Client<Definition>> {
    return (await this.connection()).client(definition);
  }

  /** Does nothing where the plugin takes no configuration. */
  async configure(hclConfiguration: string, trustDomain: string = this.#options.trustDomain): Promise<void> {
    if (!(await this.hasConfig())) return;
    const request = { coreConfiguration: { trustDomain }, hclConfiguration };
    await (await this.client(ConfigDefinition)).configure(request, { deadlineMs: CALL_MS });
  }

  async hasConfig(): Promise<boolean> {
    return (await this.services()).includes(CONFIG_SERVICE_NAME);
  }

  /** Tells a plugin where the host services are. */
  async offerHost(): Promise<void> {
    const { folder, log, autoMtls } = this.trial;
    const connection = await this.connection();
    const path = folder.join('host');
    const server = await HostServiceServer.listen({ path, services: this.host.services, autoMtls, log });
    this.#stack.use(server);
    await connection.offerHostServices(server.path);
  }

  /** The rule ends the process: that it is gone is no crash. */
  expectEnd(): void {
    this.#mayEnd = true;
  }

  get trustDomain(): TrustDomain {
    return this.#options.trustDomain;
  }

  get hasEnded(): boolean {
    return this.trial.process.exit !== undefined;
  }

  /** @returns what has become of the plugin, where it serves no more and nobody asked it to end */
  async findCrash(): Promise<string | undefined> {
    if (this.#mayEnd) return undefined;
    const connection = await this.#connection?.catch(() => undefined);
    if (connection !== undefined && !this.hasEnded) {
      const answer = await ping(connection);
      if (answer === 'hangs') return `the plugin does not answer any more, not within ${CALL_MS / 1_000} s`;
      if (answer === 'lost') await Promise.race([this.trial.process.exited, pause(EXIT_MS)]);
      if (answer === 'lost' && !this.hasEnded) return 'the plugin does not take calls any more';
    }
    const { exit, lastLines } = this.trial.process;
    if (exit === undefined) return undefined;
    const words = lastLines.length === 0 ? '' : `; its last words on stderr: ${lastLines.join(', ')}`;
    return `the plugin's process ${describeExit(exit)}${words}`;
  }

  /** Ends it at once, as a rule that has run out of time does. */
  kill(): void {
    this.#mayEnd = true;
    this.trial.process.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.#stack.disposeAsync();
  }

  async #connect(): Promise<PluginConnection> {
    try {
      const { handshake } = this.trial.process;
      requireUsableHandshake(handshake, this.trial.autoMtls !== undefined);
      await this.trial.folder.pinOwnSocket(handshake.address);
      return this.#stack.use(await this.trial.connect(this.trial.autoMtls, CONNECT_MS));
    } catch (error) {
      const explained = await this.trial.process.explain(error);
      throw withLastWords(explained, this.trial.process.lastLines);
    }
  }

  async #init(): Promise<readonly string[]> {
    const connection = await this.connection();
    await this.offerHost();
    return await connection.init(this.host.names, { deadlineMs: CALL_MS });
  }
}

/** A call that every process of gRPC answers, were it with UNIMPLEMENTED. */
async function ping(connection: PluginConnection): Promise<'answers' | 'hangs' | 'lost'> {
  try {
    await connection.client(NOBODYS_SERVICE).ping({}, { deadlineMs: CALL_MS });
    return 'answers';
  } catch (error) {
    if (statusOf(error) === Status.DeadlineExceeded) return 'hangs';
    return statusOf(error) === Status.Unavailable ? 'lost' : 'answers';
  }
}

const NOBODYS_SERVICE = {
  fullName: 'assayer.conformance.Nobody',
  methods: { ping: { ...GRPCControllerDefinition.methods.shutdown, name: 'Ping' } },
} as const;

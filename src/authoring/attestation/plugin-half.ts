import { resolve } from 'node:path';
import type { PluginData } from '../../config/plugins.ts';
import { AgentStoreDefinition } from '../../gen/spire/hostservice/server/agentstore/v1/agentstore.ts';
import { IdentityProviderDefinition } from '../../gen/spire/hostservice/server/identityprovider/v1/identityprovider.ts';
import { ConfigDefinition } from '../../gen/spire/service/common/config/v1/config.ts';
import { configure } from '../../plugin-host/configure.ts';
import { requireUsableHandshake } from '../../plugin-host/handshake-policy.ts';
import { HostServiceServer } from '../../plugin-host/host-service-server.ts';
import { metricsService } from '../../plugin-host/metrics-service.ts';
import type { PluginConnection } from '../../plugin-host/plugin-connection.ts';
import { withLastWords } from '../../plugin-host/plugin-process.ts';
import { DEFAULT_DEADLINES } from '../../plugin-host/plugin-spec.ts';
import { matchServices } from '../../plugin-host/services.ts';
import type { Client } from '../../rpc/client.ts';
import type { ServiceDefinition } from '../../rpc/definition.ts';
import type { PluginSide } from '../../rpc/go-plugin.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { RemoteError } from '../../rpc/status.ts';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { GRACE_MS, Trial } from '../trial/trial.ts';

export interface PluginHalfOptions {
  readonly side: PluginSide;
  /** A path, also a relative one; the search path is not looked at. */
  readonly command: string;
  readonly args: readonly string[];
  /** What `plugin_data` would have; undefined, none. */
  readonly data: PluginData | undefined;
  readonly trustDomain: TrustDomain;
  /** Beyond those that a server or an agent offers. */
  readonly hostServices?: readonly BoundService[];
}

/** One half of a node attestor, started and configured as a host does, with no sandbox around it. Disposing ends it. */
export class PluginHalf implements AsyncDisposable {
  readonly side: PluginSide;
  readonly #trial: Trial;
  readonly #connection: PluginConnection;
  readonly #resources: AsyncDisposableStack;

  private constructor(side: PluginSide, trial: Trial, connection: PluginConnection, resources: AsyncDisposableStack) {
    this.side = side;
    this.#trial = trial;
    this.#connection = connection;
    this.#resources = resources;
  }

  /** @throws SpiffeError that names the half, and says in which step of its start something is wrong */
  static async start(options: PluginHalfOptions): Promise<PluginHalf> {
    const { side, args, data, trustDomain } = options;
    await using resources = new AsyncDisposableStack();
    let trial: Trial | undefined;
    try {
      const { handshakeMs: handshakeDeadlineMs, connectMs, initMs, configureMs } = DEFAULT_DEADLINES;
      const command = resolve(options.command);
      trial = resources.use(await Trial.start({ command, args, handshakeDeadlineMs }, ['NodeAttestor']));
      requireUsableHandshake(trial.process.handshake, false);
      await trial.folder.pinOwnSocket(trial.process.handshake.address);
      const connection = resources.use(await trial.connect(undefined, connectMs));
      const services = [...hostServicesOf(side, trial), ...(options.hostServices ?? [])];
      const { folder, log } = trial;
      const host = { path: folder.join('host'), services, autoMtls: undefined, log };
      const { path } = resources.use(await HostServiceServer.listen(host));
      await connection.offerHostServices(path);
      const names = services.map(({ definition }) => definition.fullName);
      const offered = await connection.init(names, { deadlineMs: initMs });
      const { hasConfig } = matchServices({ side, type: 'NodeAttestor' }, offered, log);
      const client = hasConfig ? connection.client(ConfigDefinition) : undefined;
      await configure(client, data, trustDomain, { deadlineMs: configureMs });
      return new PluginHalf(side, trial, connection, resources.move());
    } catch (error) {
      throw await describe(side, trial, error);
    }
  }

  client<Definition extends ServiceDefinition>(definition: Definition): Client<Definition> {
    return this.#connection.client(definition);
  }

  /** A failure of a call as the failure of this half, or what explains it better: that its process has ended. */
  async describe(error: unknown): Promise<unknown> {
    return await describe(this.side, this.#trial, error);
  }

  /** As a host does, so that it can leave what it uses in order. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#resources.disposed) return;
    await using _resources = this.#resources;
    const { process } = this.#trial;
    if (process.exit !== undefined) return;
    await this.#connection.deinit(GRACE_MS).catch(() => {}); // it is ended either way
    this.#connection.closeBroker();
    await Promise.all([this.#connection.shutdown(GRACE_MS), process[Symbol.asyncDispose]()]);
  }
}

/** Those of a real host. No agent is known, as where a node attests for the first time. */
function hostServicesOf(side: PluginSide, { log }: Trial): readonly BoundService[] {
  const metrics = metricsService(log);
  if (side === 'agent') return [metrics];
  const identityProvider = bindService(IdentityProviderDefinition, {
    fetchX509Identity: async () => {
      throw new SpiffeError('FAILED_PRECONDITION', 'this host has no identity: it is no server');
    },
  });
  const agentStore = bindService(AgentStoreDefinition, {
    getAgentInfo: async () => {
      throw new SpiffeError('AGENT_NOT_FOUND', 'no such agent: this host has none');
    },
  });
  return [identityProvider, agentStore, metrics];
}

async function describe(side: PluginSide, trial: Trial | undefined, error: unknown): Promise<unknown> {
  const explained = trial === undefined ? error : await trial.process.explain(error);
  const isExit = trial !== undefined && isSpiffeError(explained, 'PLUGIN_EXITED');
  const found = isExit ? withLastWords(explained, trial.process.lastLines) : explained;
  if (!(found instanceof SpiffeError || found instanceof RemoteError)) return found;
  const code = found instanceof SpiffeError ? found.code : 'PLUGIN_NOT_LOADED';
  return new SpiffeError(code, `the ${side} half: ${found.message}`, { cause: found });
}

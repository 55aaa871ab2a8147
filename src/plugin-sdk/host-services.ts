import { RandomnessDefinition } from '../gen/assayer/hostservice/replay/v1/replay.ts';
import { TracesDefinition } from '../gen/assayer/hostservice/traces/v1/traces.ts';
import { MetricsDefinition } from '../gen/spire/hostservice/common/metrics/v1/metrics.ts';
import { AgentStoreDefinition } from '../gen/spire/hostservice/server/agentstore/v1/agentstore.ts';
import { IdentityProviderDefinition } from '../gen/spire/hostservice/server/identityprovider/v1/identityprovider.ts';
import type { CallTracer } from '../rpc/call-tracer.ts';
import { RpcChannel } from '../rpc/channel.ts';
import { type Client, createClient } from '../rpc/client.ts';
import type { ServiceDefinition } from '../rpc/definition.ts';
import { HOST_SERVICES_BROKER_ID } from '../rpc/go-plugin.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { PluginBroker } from './broker.ts';

/** Opens the brokered socket at `path`. */
export type BrokeredChannel = (path: string) => RpcChannel;

/**
 * What the host offers a plugin. The connection is made when first used.
 * A server answers `FAILED_PRECONDITION` until it is ready, which is after all plugins are configured.
 */
export class HostServices implements Disposable {
  readonly #broker: PluginBroker;
  readonly #open: BrokeredChannel;
  #tracer: CallTracer | undefined;
  #names: readonly string[] = [];
  #channel: Promise<RpcChannel> | undefined;

  constructor(broker: PluginBroker, open: BrokeredChannel = (path) => RpcChannel.unix(path)) {
    this.#broker = broker;
    this.#open = open;
  }

  /** Full gRPC names, as the host gave them in Init. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** Called by Init, which a host that attaches to a running plugin does anew. */
  offer(names: readonly string[]): void {
    this[Symbol.dispose]();
    this.#channel = undefined;
    this.#names = names;
  }

  /** Calls of host services are followed from now on. */
  follow(tracer: CallTracer): void {
    this.#tracer = tracer;
  }

  /** Takes what a plugin did for calls of the host that are traced; the SDK uses it by itself. */
  async traces(): Promise<Client<typeof TracesDefinition>> {
    return await this.#client(TracesDefinition, 'alone');
  }

  metrics(): Promise<Client<typeof MetricsDefinition>> {
    return this.#client(MetricsDefinition);
  }

  /** Server only: which agents are attested. */
  agentStore(): Promise<Client<typeof AgentStoreDefinition>> {
    return this.#client(AgentStoreDefinition);
  }

  /** Server only: the server's own X.509 identity and its bundle. */
  identityProvider(): Promise<Client<typeof IdentityProviderDefinition>> {
    return this.#client(IdentityProviderDefinition);
  }

  /** Of the tools that record and replay attestations alone; `randomBytes` and `now` of an attestation's context use it. */
  randomness(): Promise<Client<typeof RandomnessDefinition>> {
    return this.#client(RandomnessDefinition);
  }

  [Symbol.dispose](): void {
    this.#channel?.then(
      (channel) => channel[Symbol.dispose](),
      () => {},
    );
  }

  async #client<Definition extends ServiceDefinition>(
    definition: Definition,
    trace: 'followed' | 'alone' = 'followed',
  ): Promise<Client<Definition>> {
    if (!this.#names.includes(definition.fullName)) {
      throw new SpiffeError('UNIMPLEMENTED', `the host does not offer ${definition.fullName}`);
    }
    this.#channel ??= this.#connect();
    return createClient(definition, await this.#channel, undefined, trace === 'followed' ? this.#tracer : undefined);
  }

  async #connect(): Promise<RpcChannel> {
    return this.#open(await this.#broker.findSocket(HOST_SERVICES_BROKER_ID));
  }
}

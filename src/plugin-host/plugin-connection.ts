import { setTimeout as delay } from 'node:timers/promises';
import { HealthCheckResponse_ServingStatus, HealthDefinition } from '../gen/grpc/health/v1/health.ts';
import {
  type ConnInfo,
  GRPCBrokerDefinition,
  GRPCControllerDefinition,
  GRPCStdioDefinition,
} from '../gen/plugin/plugin.ts';
import { InitDefinition } from '../gen/spire/service/private/init/v1/init.ts';
import type { AutoMtls } from '../rpc/auto-mtls.ts';
import type { ObserveCalls } from '../rpc/call-observer.ts';
import type { CallTracer } from '../rpc/call-tracer.ts';
import { RpcChannel } from '../rpc/channel.ts';
import { type BidiCall, type CallOptions, type Client, createClient, type ServerStreamCall } from '../rpc/client.ts';
import type { ServiceDefinition } from '../rpc/definition.ts';
import { HEALTH_SERVICE_NAME, HOST_SERVICES_BROKER_ID, type PluginType } from '../rpc/go-plugin.ts';
import { RemoteError, statusOf } from '../rpc/status.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { Status } from '../spiffe/status.ts';
import { Allowance } from './allowance.ts';

/**
 * Of an answer. SPIRE has no limit; a plugin that is not what it was could fill the host's memory, and keep it busy with a
 * million values of one byte.
 */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** Of kinds that list more, or less, than the others. */
const MAX_MESSAGE_BYTES_OF: Partial<Record<PluginType, number>> = {
  KeyManager: 16 * 1024 * 1024,
  UpstreamAuthority: 16 * 1024 * 1024,
  WorkloadAttestor: 1024 * 1024,
};

/** Messages that a plugin sends unasked, of each kind: what it prints comes in pieces of 1 KiB. One that sends more waits. */
const UNASKED = { perSecond: 500, burst: 2_000 };

/** The one gRPC connection to a plugin's process, with the services that go-plugin itself needs. */
export class PluginConnection implements Disposable {
  readonly #channel: RpcChannel;
  readonly #broker: BidiCall<ConnInfo, ConnInfo>;
  readonly #stdio: ServerStreamCall<unknown>;

  private constructor(channel: RpcChannel) {
    this.#channel = channel;
    this.#broker = createClient(GRPCBrokerDefinition, channel).startStream();
    this.#stdio = createClient(GRPCStdioDefinition, channel).streamStdio({});
    void drain(this.#broker);
    void drain(this.#stdio); // a plugin that prints would block once the pipes are full
  }

  /**
   * @param type decides how long answers may be.
   * @throws where nobody answers at `path` within `deadlineMs`.
   */
  static async open(
    path: string,
    autoMtls: AutoMtls | undefined,
    deadlineMs: number,
    type?: PluginType,
  ): Promise<PluginConnection> {
    const options = { maxMessageBytes: (type && MAX_MESSAGE_BYTES_OF[type]) ?? MAX_MESSAGE_BYTES };
    const channel =
      autoMtls === undefined ? RpcChannel.unixForManyCalls(path, options) : autoMtls.openChannel(path, options);
    try {
      await channel.waitForReady(deadlineMs);
      return new PluginConnection(channel);
    } catch (cause) {
      channel[Symbol.dispose]();
      throw new SpiffeError('PLUGIN_PROTOCOL', `its socket took no connection within ${deadlineMs / 1_000} s`, {
        cause,
      });
    }
  }

  /** Settles when the connection is no more. */
  get lost(): Promise<void> {
    return this.#channel.lost;
  }

  client<Definition extends ServiceDefinition>(
    definition: Definition,
    observe?: ObserveCalls,
    tracer?: CallTracer,
  ): Client<Definition> {
    return createClient(definition, this.#channel, observe, tracer);
  }

  /** Tells the plugin where the host services are; it may wait for this inside Init. */
  async offerHostServices(path: string): Promise<void> {
    await this.#broker.send({ serviceId: HOST_SERVICES_BROKER_ID, network: 'unix', address: path, knock: undefined });
  }

  /**
   * Asks the health service, by each connection that there is: calls by one that is not read would wait for ever. SPIRE
   * never asks, so a plugin without that service is taken to be well.
   *
   * @throws SpiffeError `PLUGIN_PROTOCOL` where the plugin says that it does not serve; RemoteError where it does not answer.
   */
  async requireHealthy(options: CallOptions): Promise<void> {
    await Promise.all([...new Set([this.#channel, this.#channel.ofStreams])].map((by) => requireServing(by, options)));
  }

  /** @returns full names of the services that the plugin offers. */
  async init(hostServiceNames: readonly string[], options: CallOptions): Promise<readonly string[]> {
    const request = { hostServiceNames: [...hostServiceNames] };
    const { pluginServiceNames } = await this.client(InitDefinition).init(request, options);
    return pluginServiceNames;
  }

  /** A plugin may be without it. */
  async deinit(deadlineMs: number): Promise<void> {
    try {
      await this.client(InitDefinition).deinit({}, { deadlineMs });
    } catch (error) {
      if (!(error instanceof RemoteError && error.status === Status.Unimplemented)) throw error;
    }
  }

  /** Ends the calls that nobody will answer, once the plugin is no more. */
  cancelCalls(): void {
    this.#channel.cancelCalls();
  }

  closeBroker(): void {
    this.#broker.cancel();
    this.#stdio.cancel();
  }

  /** Asks the process to end. The answer is normally lost: whoever calls waits for the process. */
  async shutdown(deadlineMs: number): Promise<void> {
    await this.client(GRPCControllerDefinition)
      .shutdown({}, { deadlineMs })
      .catch(() => {});
  }

  [Symbol.dispose](): void {
    this.closeBroker();
    this.#channel[Symbol.dispose]();
  }
}

async function requireServing(channel: RpcChannel, options: CallOptions): Promise<void> {
  const { status } = await createClient(HealthDefinition, channel)
    .check({ service: HEALTH_SERVICE_NAME }, options)
    .catch((error: unknown) => {
      if (![Status.Unimplemented, Status.NotFound].some((code) => code === statusOf(error))) throw error;
      return { status: HealthCheckResponse_ServingStatus.SERVING };
    });
  if (status !== HealthCheckResponse_ServingStatus.SERVING) {
    throw new SpiffeError('PLUGIN_PROTOCOL', `its health service answers ${status}, which is not SERVING`);
  }
}

/** Reads to the end, however it comes, and no faster than it may be; a plugin may be without the service. */
async function drain(messages: AsyncIterable<unknown>): Promise<void> {
  const allowance = new Allowance(UNASKED);
  try {
    for await (const _ of messages) {
      const waitMs = allowance.spend(1);
      if (waitMs > 0) await delay(waitMs, undefined, { ref: false });
    }
  } catch {
    // the stream has ended with the plugin, or by us
  }
}

import { connect } from 'node:net';
import {
  type ChannelCredentials,
  Client,
  connectivityState,
  credentials,
  type ChannelOptions as GrpcChannelOptions,
} from '@grpc/grpc-js';
import { OpenCalls } from './open-calls.ts';
import { UnaryConnection } from './unary-connection.ts';

export interface ChannelOptions {
  /** Largest message taken, in bytes; -1 for no limit. gRPC's own default takes 4 MiB. */
  readonly maxMessageBytes?: number;
  /** What travels as `:authority`. */
  readonly authority?: string;
  /** Further options of grpc-js, such as those of AutoMTLS. */
  readonly grpc?: GrpcChannelOptions;
}

/** One connection to a gRPC peer, made when first used and again when lost. */
export class RpcChannel implements Disposable {
  /** For `createClient` alone: nobody else knows grpc-js. */
  readonly client: Client;
  /** Takes the unary calls, where there is one. For `createClient` alone. */
  readonly unary: UnaryConnection | undefined;

  /** Those that go by `client`. For `createClient` alone. */
  readonly calls: OpenCalls;

  private constructor(client: Client, unary?: UnaryConnection, calls = new OpenCalls()) {
    this.client = client;
    this.unary = unary;
    this.calls = calls;
  }

  /** Over a Unix socket, in clear, with a second connection for unary calls: for a peer that is called very often. */
  static unixForManyCalls(path: string, options: ChannelOptions = {}): RpcChannel {
    const { client } = RpcChannel.unix(path, options);
    const { maxMessageBytes } = options;
    return new RpcChannel(
      client,
      new UnaryConnection({
        connect: () => connect(path),
        ...(maxMessageBytes === undefined ? {} : { maxMessageBytes }),
      }),
    );
  }

  /** Over a Unix socket, in clear. */
  static unix(path: string, options: ChannelOptions = {}): RpcChannel {
    return RpcChannel.open(`unix:${path}`, credentials.createInsecure(), { authority: 'localhost', ...options });
  }

  /** Over TCP, in clear: for who is known by where it is. @param target `address:port`, an IPv6 address in brackets */
  static tcp(target: string, options: ChannelOptions = {}): RpcChannel {
    return RpcChannel.open(`dns:///${target}`, credentials.createInsecure(), options);
  }

  /** @param target a gRPC target, such as `dns:///host:port` or `unix:/path`. */
  static open(target: string, channelCredentials: ChannelCredentials, options: ChannelOptions = {}): RpcChannel {
    const { maxMessageBytes, authority, grpc } = options;
    return new RpcChannel(
      new Client(target, channelCredentials, {
        'grpc.use_local_subchannel_pool': 1,
        'grpc.enable_channelz': 0,
        'grpc.enable_retries': 0,
        'grpc.service_config_disable_resolution': 1,
        ...(maxMessageBytes === undefined ? {} : { 'grpc.max_receive_message_length': maxMessageBytes }),
        ...(authority === undefined ? {} : { 'grpc.default_authority': authority }),
        ...grpc,
      }),
    );
  }

  /** The connection that streams go by, unary calls too; the same one where there is no second. */
  get ofStreams(): RpcChannel {
    return this.unary === undefined ? this : new RpcChannel(this.client, undefined, this.calls);
  }

  /** Whether there is a connection. */
  get isReady(): boolean {
    return this.client.getChannel().getConnectivityState(false) === connectivityState.READY;
  }

  /** Waits until connected. @throws where that did not happen within `deadlineMs`. */
  async waitForReady(deadlineMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.client.waitForReady(Date.now() + deadlineMs, (error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  /** Settles when a connection that was ready is no more. */
  get lost(): Promise<void> {
    return new Promise((resolve) => {
      const channel = this.client.getChannel();
      const watch = () => {
        if (channel.getConnectivityState(false) !== connectivityState.READY) return resolve();
        channel.watchConnectivityState(connectivityState.READY, Number.POSITIVE_INFINITY, watch);
      };
      watch();
    });
  }

  /**
   * Ends calls that are under way with `CANCELLED`, for whoever knows that the other side is no more: grpc-js does not
   * always notice that a connection with TLS was lost.
   */
  cancelCalls(): void {
    this.calls.cancelAll();
  }

  [Symbol.dispose](): void {
    this.client.close();
    this.unary?.[Symbol.dispose]();
  }
}

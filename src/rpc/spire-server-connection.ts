import { isIPv6 } from 'node:net';
import type { Bundle } from '../spiffe/bundle.ts';
import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import { serverId } from '../spiffe/spiffe-id.ts';
import { Status } from '../spiffe/status.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { RpcChannel } from './channel.ts';
import { RemoteError } from './status.ts';
import { createSpiffeCredentials } from './tls-client.ts';
import type { TlsIdentity } from './tls-identity.ts';

export interface ServerConnectionOptions {
  readonly address: string;
  readonly port: number;
  readonly trustDomain: TrustDomain;
  readonly requirePqKem: boolean;
  /** Verifies the server; asked at every connection. */
  bundle(): Bundle;
  /** Shown to the server; asked at every connection. Without it, an anonymous caller. */
  identity?(): TlsIdentity;
  /** Takes whoever answers for the server. */
  readonly insecure?: boolean;
}

/** For a call that is answered without a plugin. */
export const CALL_DEADLINE_MS = 30_000;
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** The way to the server. What identity and bundle are counts when a connection is made: see {@link reconnect}. */
export class SpireServerConnection<Clients> implements Disposable {
  readonly #options: ServerConnectionOptions;
  readonly #createClients: (channel: RpcChannel) => Clients;
  #line: Line<Clients> | undefined;

  constructor(options: ServerConnectionOptions, createClients: (channel: RpcChannel) => Clients) {
    this.#options = options;
    this.#createClients = createClients;
  }

  /**
   * Makes calls over the connection of the moment; one that would go on for ever ends when `retired` is aborted.
   *
   * @throws SpiffeError `SERVER_UNREACHABLE`, or `CERTIFICATE_UNTRUSTED` and the like for a server that is not the one
   *   expected, naming the address; otherwise what the server answered.
   */
  async run<Result>(call: (clients: Clients, retired: AbortSignal) => Promise<Result>): Promise<Result> {
    this.#line ??= new Line(this.#options, this.#createClients);
    const line = this.#line;
    try {
      return await line.use(call);
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error;
      if (error.status !== Status.Unavailable && error.status !== Status.DeadlineExceeded) throw error;
      if (this.#line === line) this.reconnect(); // gRPC waits longer with every attempt, whoever calls sees to that here
      throw this.#explain(error, line.tlsFailure);
    }
  }

  /** Whether the server was verified over the connection of the moment, and that still stands. */
  get isConnected(): boolean {
    return this.#line?.isConnected ?? false;
  }

  /** Later calls get a new connection; calls under way end on theirs. */
  reconnect(): void {
    this.#line?.retire();
    this.#line = undefined;
  }

  [Symbol.dispose](): void {
    this.reconnect();
  }

  #explain(cause: RemoteError, tlsFailure: unknown): SpiffeError {
    const { address, port } = this.#options;
    const server = `the server at ${address} port ${port}`;
    if (isSpiffeError(tlsFailure) && tlsFailure.code !== 'SERVER_UNREACHABLE') {
      return new SpiffeError(
        tlsFailure.code,
        `${server} is not trusted: ${tlsFailure.message}; check server_address and trust_domain, and that the trust bundle is the server's`,
        { cause: tlsFailure },
      );
    }
    const reason = tlsFailure instanceof Error ? tlsFailure.message : withoutGrpcWords(cause.message);
    return new SpiffeError(
      'SERVER_UNREACHABLE',
      `${server} does not answer: ${reason}; check that it runs, and server_address and server_port`,
      { cause },
    );
  }
}

/** Leaves the system's reason of what gRPC says of a connection that was not made. */
function withoutGrpcWords(message: string): string {
  return /^No connection established\. Last error: (?:Error: )?(.+)\. Resolution note: /.exec(message)?.[1] ?? message;
}

/** One channel, closed when it is retired and its last call has ended. */
class Line<Clients> {
  readonly #channel: RpcChannel;
  readonly #clients: Clients;
  #calls = 0;
  readonly #retired = new AbortController();
  /** Why the newest connection came to nothing after the server had answered. */
  tlsFailure: unknown;

  constructor(
    { address, port, trustDomain, requirePqKem, bundle, identity, insecure = false }: ServerConnectionOptions,
    createClients: (channel: RpcChannel) => Clients,
  ) {
    const host = isIPv6(address) ? `[${address}]` : address;
    const credentials = createSpiffeCredentials({
      expectedId: serverId(trustDomain),
      requirePqKem,
      bundle,
      ...(identity === undefined ? {} : { identity }),
      insecureBootstrap: insecure,
      onFailure: (error) => {
        this.tlsFailure = error;
      },
    });
    this.#channel = RpcChannel.open(`dns:///${host}:${port}`, credentials, { maxMessageBytes: MAX_MESSAGE_BYTES });
    this.#clients = createClients(this.#channel);
  }

  get isConnected(): boolean {
    return this.#channel.isReady;
  }

  async use<Result>(call: (clients: Clients, retired: AbortSignal) => Promise<Result>): Promise<Result> {
    this.#calls += 1;
    try {
      return await call(this.#clients, this.#retired.signal);
    } finally {
      this.#calls -= 1;
      this.#closeIfDone();
    }
  }

  retire(): void {
    this.#retired.abort();
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#retired.signal.aborted && this.#calls === 0) this.#channel[Symbol.dispose]();
  }
}

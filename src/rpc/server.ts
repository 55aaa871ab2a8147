import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  type ConnectionInjector,
  type MethodDefinition as GrpcMethod,
  type Server as GrpcServer,
  Server,
  ServerCredentials,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import type { Logger } from '../log/logger.ts';
import { peekConnection } from './any-authority/peek-connection.ts';
import type { Interceptor } from './call.ts';
import type { ObserveCalls } from './call-observer.ts';
import type { CallTracer } from './call-tracer.ts';
import { type MethodDefinition, methodPath } from './definition.ts';
import { encodeMessage } from './encoded.ts';
import { Ending } from './ending.ts';
import { createHandler } from './handler.ts';
import { isUsualCall, LeanCall, type LeanMethod } from './lean-call.ts';
import type { Peer } from './peer.ts';
import type { BoundService } from './service.ts';

export interface RpcServerOptions {
  readonly services: readonly BoundService[];
  /** Run in order before a handler, in order again after it. */
  readonly interceptors?: readonly Interceptor[];
  readonly log: Logger;
  /** Told of the end of every call to a method that is served. */
  readonly observe?: ObserveCalls | undefined;
  readonly tracer?: CallTracer | undefined;
  /** Largest request taken, in bytes; 4 MiB by default, as with SPIRE; -1 for no limit. */
  readonly maxRequestBytes?: number;
  /** How long calls may go on once the server is disposed. */
  readonly graceMs?: number;
  readonly maxConcurrentStreams?: number;
  /** Calls that a client may cancel a second before its connection is cut; nghttp2's 33 by default, after the first 1,000. */
  readonly cancelsASecond?: number;
}

/** For a program's API: its plugins have their time to end after it. */
export const API_GRACE_MS = 4_000;
/** For the refusal of what has not ended in its time to go out. */
const LAST_ANSWER_MS = 250;

/** What grpc-js calls a peer that has none. */
const NO_ADDRESS = 'unknown';
const DEFAULT_MAX_REQUEST_BYTES = 4 * 1024 * 1024;

/**
 * Serves gRPC on connections that somebody else accepted and knows the peers of.
 * Disposing ends streams of answers, which would go on for ever, lets other calls end within `graceMs`, then cuts every
 * connection.
 */
export class RpcServer implements AsyncDisposable {
  readonly #server: GrpcServer;
  readonly #injector: ConnectionInjector;
  readonly #lean = new Map<string, LeanMethod>();
  readonly #peers = new Map<string, Peer>();
  /** By the authority that their requests are given, which nobody else knows. */
  readonly #rewrittenPeers = new Map<string, Peer>();
  readonly #peeked = new Set<Duplex>();
  readonly #sockets = new Set<Duplex>();
  readonly #graceMs: number;
  readonly #ending = new Ending();
  readonly #overdue = new Ending();
  #nextTag = 1;
  #disposal: Promise<void> | undefined;

  private constructor(options: RpcServerOptions) {
    this.#graceMs = options.graceMs ?? 1_000;
    this.#server = new Server({
      'grpc.max_receive_message_length': options.maxRequestBytes ?? DEFAULT_MAX_REQUEST_BYTES,
      'grpc.max_send_message_length': -1,
      'grpc.enable_channelz': 0, // counts every message and call for a service that is not served
      ...(options.maxConcurrentStreams === undefined
        ? {}
        : { 'grpc.max_concurrent_streams': options.maxConcurrentStreams }),
    });
    takeStreams(this.#server, this.#lean);
    if (options.cancelsASecond !== undefined) allowCancels(this.#server, options.cancelsASecond);
    for (const service of options.services) this.#add(service, options);
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  static create(options: RpcServerOptions): RpcServer {
    return new RpcServer(options);
  }

  /** Serves on `socket`, whose other end is `peer`: what every handler then sees. */
  accept(socket: Duplex, peer: Peer): void {
    // grpc-js names a call's peer by its socket's address; this tag is ours, a client has no way to it.
    const tag = `peer-${this.#nextTag++}`;
    Object.defineProperty(socket, 'remoteAddress', { value: tag });
    Object.defineProperty(socket, 'remotePort', { value: undefined });
    this.#serve(socket, this.#peers, tag, peer);
  }

  /** Like `accept`, for clients in any language: also such as name a path as the authority of their requests. */
  acceptAnyAuthority(socket: Socket, peer: Peer): void {
    this.#peeked.add(socket);
    socket.on('error', () => {}); // a peer that resets its connection is no event of ours
    socket.once('close', () => this.#peeked.delete(socket));
    const authority = randomUUID();
    peekConnection({
      socket,
      authority,
      onUsual: () => {
        this.#peeked.delete(socket);
        this.accept(socket, peer);
      },
      // grpc-js sees no address of a stream that is no socket: what the peer is found by is the authority, which is ours.
      onRewritten: (stream) => {
        this.#peeked.delete(socket);
        this.#serve(stream, this.#rewrittenPeers, authority, peer);
      },
    });
  }

  #serve(stream: Duplex, peers: Map<string, Peer>, key: string, peer: Peer): void {
    if (this.#disposal !== undefined) {
      stream.destroy();
      return;
    }
    peers.set(key, peer);
    this.#sockets.add(stream);
    stream.once('close', () => {
      peers.delete(key);
      this.#sockets.delete(stream);
    });
    stream.on('error', () => {});
    this.#injector.injectConnection(stream);
  }

  #findPeer(address: string, authority: string): Peer | undefined {
    return address === NO_ADDRESS ? this.#rewrittenPeers.get(authority) : this.#peers.get(address);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#dispose();
    await this.#disposal;
  }

  async #dispose(): Promise<void> {
    const closed = [...this.#sockets].map(
      (socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())),
    );
    const cutMs = this.#graceMs + LAST_ANSWER_MS;
    this.#ending.begin();
    for (const socket of this.#peeked) socket.destroy(); // no call of theirs has begun
    this.#injector.drain(cutMs);
    const limit = setTimeout(() => this.#overdue.begin(), this.#graceMs);
    const insist = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, cutMs);
    await Promise.all(closed);
    clearTimeout(limit);
    clearTimeout(insist);
    this.#injector.destroy();
    this.#server.forceShutdown();
  }

  #add(
    { definition, handlers, endless }: BoundService,
    { interceptors = [], log, observe, tracer, maxRequestBytes = DEFAULT_MAX_REQUEST_BYTES }: RpcServerOptions,
  ): void {
    const methods: Record<string, GrpcMethod<unknown, unknown>> = {};
    const implementation: Record<string, UntypedHandleCall> = {};
    for (const [name, method] of Object.entries(definition.methods)) {
      const handler = handlers[name];
      if (handler === undefined) continue; // grpc-js answers UNIMPLEMENTED
      const path = methodPath(definition, method);
      methods[name] = grpcMethod(path, method);
      const serve = createHandler({
        path,
        method,
        handler,
        isEndless: endless?.has(name) ?? false,
        interceptors,
        log,
        ended: observe?.(path),
        tracer,
        findPeer: (address, authority) => this.#findPeer(address, authority),
        ending: this.#ending,
        overdue: this.#overdue,
      });
      implementation[name] = serve;
      this.#lean.set(path, { method, maxRequestBytes, serve: serve as unknown as LeanMethod['serve'] });
    }
    this.#server.addService(methods, implementation);
  }
}

/**
 * Calls go past grpc-js, unless there is something unusual about them, which it refuses or understands.
 *
 * The stream of a connection that has just closed is told of after it is destroyed where Node has the connection as a
 * stream; grpc-js answers an unknown method there, which throws and would end the process.
 */
function takeStreams(server: GrpcServer, methods: ReadonlyMap<string, LeanMethod>): void {
  const serve: (interceptors: unknown, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void = Reflect.get(
    server,
    '_streamHandler',
  );
  Reflect.set(
    server,
    '_streamHandler',
    (interceptors: unknown, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      if (stream.destroyed) {
        stream.on('error', () => {});
        return;
      }
      const method = methods.get(headers[':path'] ?? '');
      if (method !== undefined && isUsualCall(headers)) new LeanCall(stream, headers, method);
      else serve.call(server, interceptors, stream, headers);
    },
  );
}

/** grpc-js has no option for it. Its version is pinned, and a contract test watches that this one arrives. */
function allowCancels(server: GrpcServer, aSecond: number): void {
  const http2Options: object = Reflect.get(server, 'commonServerOptions');
  Object.assign(http2Options, { streamResetRate: aSecond, streamResetBurst: aSecond });
}

function grpcMethod(path: string, method: MethodDefinition): GrpcMethod<unknown, unknown> {
  const { requestType, responseType, requestStream, responseStream } = method;
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: (message) => encodeMessage(requestType, message),
    requestDeserialize: (bytes) => requestType.decode(bytes),
    responseSerialize: (message) => encodeMessage(responseType, message),
    responseDeserialize: (bytes) => responseType.decode(bytes),
  };
}

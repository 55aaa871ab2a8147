import { chmod, chown } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../log/logger.ts';
import type { AutoMtls } from '../rpc/auto-mtls.ts';
import type { Interceptor } from '../rpc/call.ts';
import type { CallTracer } from '../rpc/call-tracer.ts';
import { RpcServer } from '../rpc/server.ts';
import type { BoundService } from '../rpc/service.ts';
import { Allowance } from './allowance.ts';

/** Calls of one plugin: one that makes more waits for the answers. */
const CALLS = { perSecond: 300, burst: 3_000 };
const MAX_CALLS_AT_ONCE = 100;

/** A plugin needs one connection; some make another one a service. What more it opens is closed at once. */
const MAX_CONNECTIONS = 16;
/** Requests of host services are names and numbers. */
const MAX_REQUEST_BYTES = 64 * 1024;

/** Serves the host services to one plugin, on a socket in that plugin's folder. */
export class HostServiceServer implements AsyncDisposable {
  readonly path: string;
  readonly #server: RpcServer;
  readonly #listener: Server;

  private constructor(path: string, server: RpcServer, listener: Server) {
    this.path = path;
    this.#server = server;
    this.#listener = listener;
  }

  /** @param autoMtls the listener is the TLS server of a brokered connection, whichever process it is in. */
  static async listen(options: {
    readonly path: string;
    /** The plugin's user, which may connect; undefined for the host's. */
    readonly userId?: number | undefined;
    readonly services: readonly BoundService[];
    readonly autoMtls: AutoMtls | undefined;
    readonly tracer?: CallTracer | undefined;
    readonly log: Logger;
  }): Promise<HostServiceServer> {
    const { path, userId, services, autoMtls, tracer, log } = options;
    const server = RpcServer.create({
      services,
      interceptors: [inTurn(new Allowance(CALLS))],
      log,
      tracer,
      maxRequestBytes: MAX_REQUEST_BYTES,
      maxConcurrentStreams: MAX_CALLS_AT_ONCE,
    });
    const listener = createServer((socket) => {
      if (autoMtls === undefined) server.accept(socket, { kind: 'plugin' });
      else autoMtls.acceptSocket(socket, (secured) => server.accept(secured, { kind: 'plugin' }));
    });
    listener.maxConnections = MAX_CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(path, resolve);
    });
    await chmod(path, 0o600);
    if (userId !== undefined) await chown(path, userId, userId);
    return new HostServiceServer(path, server, listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close(); // also removes the socket
    await this.#server[Symbol.asyncDispose]();
  }
}

function inTurn(allowance: Allowance): Interceptor {
  return {
    async before({ signal }) {
      const waitMs = allowance.spend(1);
      if (waitMs > 0) await delay(waitMs, undefined, { signal, ref: false });
    },
  };
}

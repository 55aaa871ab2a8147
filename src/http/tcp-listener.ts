import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '../log/logger.ts';
import { SpiffeError } from '../spiffe/error.ts';

export interface TcpListenerOptions {
  /** A name or an address of this host. */
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** What of the configuration asks for it, such as `health_checks`. */
  readonly setting: string;
  readonly log: Logger;
  readonly maxConnections?: number;
  /** So that the connections of one address never take all of the room. */
  readonly maxConnectionsPerAddress?: number;
  onConnection(socket: Socket): void;
}

/** A port that is open. Disposing closes it and cuts the connections. */
export interface TcpListener extends AsyncDisposable {
  /** As bound. */
  readonly port: number;
}

/** With those whose handshake is under way. */
const DEFAULT_MAX_CONNECTIONS = 64;

/** In clear. @throws SpiffeError `SOCKET_UNUSABLE` */
export async function listenInClear(options: TcpListenerOptions): Promise<TcpListener> {
  return await listen(createServer(options.onConnection), options);
}

/**
 * Has `server`, which hands its connections on by itself, accept them.
 *
 * @throws SpiffeError `SOCKET_UNUSABLE`
 */
export async function listen(
  server: Server,
  {
    host,
    port,
    setting,
    log,
    maxConnections = DEFAULT_MAX_CONNECTIONS,
    ...more
  }: Omit<TcpListenerOptions, 'onConnection'>,
): Promise<TcpListener> {
  server.maxConnections = maxConnections;
  const sockets = new Set<Socket>();
  const perAddress = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const { remoteAddress = '' } = socket;
    const count = (perAddress.get(remoteAddress) ?? 0) + 1;
    if (count > (more.maxConnectionsPerAddress ?? maxConnections)) {
      socket.destroy();
      log.debug('a connection was refused: its address has too many', { setting, address: remoteAddress });
      return;
    }
    perAddress.set(remoteAddress, count);
    socket.once('close', () => {
      const left = (perAddress.get(remoteAddress) ?? 1) - 1;
      if (left === 0) perAddress.delete(remoteAddress);
      else perAddress.set(remoteAddress, left);
    });
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const message = `${setting}: cannot listen on ${host} port ${port}: ${adviceOn(cause)}`;
      reject(new SpiffeError('SOCKET_UNUSABLE', message, { cause }));
    });
    server.listen({ host, port }, resolve);
  });
  server.removeAllListeners('error');
  server.on('error', (error) => log.warning('a connection was not accepted', { setting, reason: error.message }));
  const address = server.address();
  return {
    port: typeof address === 'object' ? (address?.port ?? port) : port,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function adviceOn({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'it is in use, stop what listens there or choose another port';
    case 'EACCES':
      return 'that is not allowed, choose a port from 1024 on';
    case 'EADDRNOTAVAIL':
      return 'this host does not have that address';
    default:
      return message;
  }
}

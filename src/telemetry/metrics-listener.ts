import { constants } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type SecureContextOptions } from 'node:tls';
import type { Logger } from '../log/logger.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { CertificateFiles, FileIdentity } from './certificate-files.ts';

export interface MetricsListenerOptions {
  /** A name or an address of this host. */
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  readonly log: Logger;
  onConnection(socket: Socket): void;
}

/** A port that is open. Disposing closes it; connections are their receiver's. */
export interface MetricsListener extends AsyncDisposable {
  /** As bound. */
  readonly port: number;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** With those whose handshake is under way. */
const MAX_CONNECTIONS = 64;

/** In clear. @throws SpiffeError `SOCKET_UNUSABLE` */
export async function listenInClear(options: MetricsListenerOptions): Promise<MetricsListener> {
  return await listen(createServer(options.onConnection), options);
}

/**
 * With a certificate of files, whose authorities sign those of clients where it has some.
 *
 * @throws SpiffeError `SOCKET_UNUSABLE`
 */
export async function listenWithFiles(
  files: CertificateFiles,
  options: MetricsListenerOptions,
): Promise<MetricsListener> {
  const mustShow = files.current.clientCas !== undefined;
  const server = createTlsServer({
    ...toContext(files.current),
    requestCert: mustShow,
    rejectUnauthorized: mustShow,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  });
  server.on('secureConnection', options.onConnection);
  server.on('tlsClientError', (error, socket) => {
    const { remoteAddress: address, remotePort: port } = socket;
    options.log.debug('a TLS handshake for metrics failed', { address, port, reason: error.message });
    socket.destroy();
  });
  const unsubscribe = files.subscribe((identity) => server.setSecureContext(toContext(identity)));
  const listener = await listen(server, options);
  return {
    port: listener.port,
    [Symbol.asyncDispose]: async () => {
      unsubscribe();
      await listener[Symbol.asyncDispose]();
    },
  };
}

/** Without tickets: a client would come back with one after its authority has gone. */
function toContext({ certificates, privateKey, clientCas }: FileIdentity): SecureContextOptions {
  return {
    cert: certificates.map(toPem).join(''),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    ca: clientCas ?? [], // absent would mean Mozilla's
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}

function toPem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

async function listen(server: Server, { host, port, log }: MetricsListenerOptions): Promise<MetricsListener> {
  server.maxConnections = MAX_CONNECTIONS;
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const message = `telemetry.Prometheus: cannot listen on ${host} port ${port}: ${adviceOn(cause)}`;
      reject(new SpiffeError('SOCKET_UNUSABLE', message, { cause }));
    });
    server.listen({ host, port }, resolve);
  });
  server.removeAllListeners('error');
  server.on('error', (error) => log.warning('a connection for metrics was not accepted', { reason: error.message }));
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

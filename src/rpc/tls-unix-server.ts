import type { Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { Logger } from '../log/logger.ts';
import type { Bundle } from '../spiffe/bundle.ts';
import { isSpiffeError } from '../spiffe/error.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { plainSocketOf } from './handshakes.ts';
import type { TlsPeer, UnixPeer } from './peer.ts';
import type { IdentitySource } from './svid-listener.ts';
import { type TlsPolicy, withSecureContextOptions } from './tls-identity.ts';
import { HANDSHAKE_TIMEOUT_MS, identifyTlsPeer } from './tls-server.ts';
import { listenUnix } from './unix-listener.ts';

export interface TlsUnixListenerOptions extends TlsPolicy {
  readonly path: string;
  /** Permission bits of the socket, and of its folder should that be missing. */
  readonly mode: number;
  readonly folderMode: number;
  readonly identity: IdentitySource;
  readonly log: Logger;
  /** Asked in every handshake of a client that shows an X.509-SVID. */
  findBundle(trustDomain: TrustDomain): Bundle | undefined;
  /** Asked before the handshake; one that may not stay is cut off. @returns whether it may */
  admit(socket: Socket, peer: UnixPeer): boolean;
  /** Takes over the socket; throws a SpiffeError to refuse it. */
  onConnection(socket: TLSSocket, peer: TlsPeer): void;
}

/**
 * A Unix socket where clients speak TLS, as on a port: gRPC alone, and an X.509-SVID that does not verify is no connection.
 * Disposing closes the door and cuts handshakes off; connections are their receiver's.
 *
 * @throws SpiffeError `SOCKET_UNUSABLE`, `ARGUMENT_INVALID` for an identity that is none.
 */
export async function listenTlsUnix(options: TlsUnixListenerOptions): Promise<AsyncDisposable> {
  const { path, mode, folderMode, identity, log, admit } = options;
  const tls = createTlsServer({
    requestCert: true,
    rejectUnauthorized: false, // by OpenSSL: whoever accepts verifies
    ALPNProtocols: ['h2'],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  });
  const show = (shown: IdentitySource['current']) =>
    withSecureContextOptions(shown, options, (context) => tls.setSecureContext(context));
  show(identity.current);
  const handshakes = new Set<Socket>();
  tls.on('secureConnection', (socket) => {
    handshakes.delete(plainSocketOf(socket));
    accept(socket, options);
  });
  tls.on('tlsClientError', (error, socket) => {
    socket.destroy();
    log.debug('a TLS handshake failed', { path, reason: error.message });
  });
  await using stack = new AsyncDisposableStack();
  stack.defer(identity.subscribe(show));
  const shakeHands = (socket: Socket, peer: UnixPeer) => {
    if (!admit(socket, peer)) {
      socket.destroy();
      log.debug('a connection was refused', { path, pid: peer.pid, reason: 'its process or user has too many' });
      return;
    }
    handshakes.add(socket);
    socket.once('close', () => handshakes.delete(socket));
    tls.emit('connection', socket);
  };
  stack.defer(() => {
    for (const socket of handshakes) socket.destroy();
  });
  stack.use(await listenUnix({ path, mode, folderMode, log, onConnection: shakeHands }));
  return stack.move();
}

function accept(socket: TLSSocket, { path, log, findBundle, onConnection }: TlsUnixListenerOptions): void {
  socket.on('error', () => {}); // a peer that resets its connection is no event of ours
  try {
    onConnection(socket, identifyTlsPeer(socket, { address: path, port: 0 }, 'h2', findBundle));
  } catch (error) {
    socket.destroy();
    if (!isSpiffeError(error)) throw error;
    log.warning('a connection was refused', { path, reason: error.message });
  }
}

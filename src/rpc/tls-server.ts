import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import type { Logger } from '../log/logger.ts';
import type { Bundle } from '../spiffe/bundle.ts';
import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { Handshakes } from './handshakes.ts';
import { type ClientAddress, usualForm } from './network-address.ts';
import type { TlsPeer } from './peer.ts';
import { readProxyHeader } from './read-proxy-header.ts';
import {
  peerCertificatesOf,
  type TlsIdentity,
  type TlsPolicy,
  verifyPeer,
  withSecureContextOptions,
} from './tls-identity.ts';
import { TrustedProxies } from './trusted-proxies.ts';

export interface TlsListenerOptions extends TlsPolicy {
  /** An address of this host, or `::` or `0.0.0.0` for all. */
  readonly address: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Whether other sockets of this user may listen there too: the kernel deals the connections out (SO_REUSEPORT). */
  readonly reusePort?: boolean;
  readonly identity: TlsIdentity;
  /** `h2` by default, which a client has to offer; with `http/1.1` it may offer nothing. */
  readonly alpn?: 'h2' | 'http/1.1';
  /** Networks in CIDR notation; a host of theirs may say in the PROXY protocol whom it speaks for. */
  readonly trustedProxies?: readonly string[];
  /** Handshakes that one address may have under way; one more is cut off. */
  readonly maxHandshakesPerAddress?: number;
  readonly log: Logger;
  /** Asked in every handshake of a client that shows an X.509-SVID. */
  findBundle(trustDomain: TrustDomain): Bundle | undefined;
  /** Takes over the socket; throws a SpiffeError to refuse it. */
  onConnection(socket: TLSSocket, peer: TlsPeer): void;
}

/** Of the handshake, and of the PROXY protocol's header before it. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;

/** @throws SpiffeError `SOCKET_UNUSABLE`, saying what to do; `ARGUMENT_INVALID` for an identity that is none. */
export function listenTls(options: TlsListenerOptions): Promise<TlsListener> {
  return TlsListener.listen(options);
}

/**
 * A port where clients may show an X.509-SVID: one that does not verify is no connection, none is an anonymous peer.
 * Disposing stops it and cuts handshakes off; connections are their receiver's.
 */
export class TlsListener implements AsyncDisposable {
  /** As bound. */
  readonly port: number;
  readonly #options: TlsListenerOptions;
  readonly #server: Server;
  readonly #tls: TlsServer;
  readonly #proxies: TrustedProxies;
  readonly #handshakes: Handshakes;
  /** Before their handshake. */
  readonly #silent = new Set<Socket>();
  readonly #connections = new Map<TLSSocket, TlsPeer>();
  #identity: TlsIdentity;

  private constructor(options: TlsListenerOptions, server: Server, tls: TlsServer) {
    this.#options = options;
    this.#server = server;
    this.#tls = tls;
    this.#identity = options.identity;
    this.#proxies = new TrustedProxies(options.trustedProxies ?? []);
    this.#handshakes = new Handshakes(options.maxHandshakesPerAddress ?? Number.POSITIVE_INFINITY);
    const address = server.address();
    this.port = typeof address === 'object' ? (address?.port ?? options.port) : options.port;
    tls.on('secureConnection', (socket) => this.#accept(socket));
    tls.on('tlsClientError', (error, socket) => this.#fail(error, socket));
    server.on('connection', (socket) => this.#receive(socket));
    server.on('error', (error) => options.log.warning('a connection was not accepted', { reason: error.message }));
  }

  static async listen(options: TlsListenerOptions): Promise<TlsListener> {
    const tls = createTlsServer({
      requestCert: true,
      rejectUnauthorized: false, // by OpenSSL: #accept verifies
      ALPNProtocols: [options.alpn ?? 'h2'],
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    useContext(tls, options.identity, options);
    const server = createServer();
    await listen(server, options);
    return new TlsListener(options, server, tls);
  }

  /** Shows another identity from the next handshake on. Connections stay. @throws SpiffeError `ARGUMENT_INVALID` */
  useIdentity(identity: TlsIdentity): void {
    useContext(this.#tls, identity, this.#options);
    this.#identity = identity;
  }

  /**
   * Cuts connections off: a handshake verifies once, and its connection outlives what it was verified by.
   *
   * @returns how many.
   */
  closeConnections(shouldClose: (peer: TlsPeer) => boolean): number {
    let count = 0;
    for (const [socket, peer] of this.#connections) {
      if (!shouldClose(peer)) continue;
      socket.destroy();
      count += 1;
    }
    return count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close(); // its callback waits for every connection, we do not
    this.#handshakes.destroy();
    for (const socket of this.#silent) socket.destroy();
  }

  #receive(socket: Socket): void {
    const own = addressOf(socket);
    if (own.address === '')
      socket.destroy(); // reset before it was accepted
    else if (this.#proxies.has(own.address)) void this.#receiveFor(socket, own);
    else this.#shakeHands(socket, own);
  }

  async #receiveFor(socket: Socket, proxy: ClientAddress): Promise<void> {
    this.#silent.add(socket);
    try {
      const client = await readProxyHeader(socket, HANDSHAKE_TIMEOUT_MS);
      if (!socket.destroyed) this.#shakeHands(socket, client ?? proxy);
    } catch (error) {
      socket.destroy();
      if (!isSpiffeError(error)) throw error;
      if (error.code === 'CANCELLED') return; // a proxy that only looks whether somebody listens
      this.#options.log.warning('a connection was refused', { ...proxy, reason: error.message });
    } finally {
      this.#silent.delete(socket);
    }
  }

  #shakeHands(socket: Socket, client: ClientAddress): void {
    if (this.#handshakes.begin(socket, client)) {
      this.#tls.emit('connection', socket);
      return;
    }
    socket.destroy();
    this.#options.log.debug('a connection was refused', { ...client, reason: 'too many handshakes are under way' });
  }

  #accept(socket: TLSSocket): void {
    const client = this.#handshakes.end(socket) ?? addressOf(socket);
    socket.on('error', () => {}); // a peer that resets its connection is no event of ours
    try {
      const { alpn = 'h2' } = this.#options;
      const peer = identifyTlsPeer(socket, client, alpn, (trustDomain) => this.#options.findBundle(trustDomain));
      this.#connections.set(socket, peer);
      socket.once('close', () => this.#connections.delete(socket));
      this.#options.onConnection(socket, peer);
    } catch (error) {
      socket.destroy();
      if (!isSpiffeError(error)) throw error;
      this.#options.log.warning('a connection was refused', { ...client, reason: error.message });
    }
  }

  #fail(error: Error, socket: TLSSocket): void {
    const client = this.#handshakes.end(socket) ?? addressOf(socket);
    socket.destroy();
    const { privateKey } = this.#identity;
    const keyFailure = 'lastFailure' in privateKey ? privateKey.lastFailure : undefined;
    if (keyFailure === undefined) {
      this.#options.log.debug('a TLS handshake failed', { ...client, reason: error.message });
    } else {
      this.#options.log.error('a TLS handshake failed: the key did not sign', { ...client, reason: keyFailure });
    }
  }
}

/**
 * Who is at the other end of a finished handshake.
 *
 * @throws SpiffeError `UNAUTHENTICATED` for another protocol, and as {@link verifyPeer}
 */
export function identifyTlsPeer(
  socket: TLSSocket,
  { address, port }: ClientAddress,
  alpn: 'h2' | 'http/1.1',
  findBundle: (trustDomain: TrustDomain) => Bundle | undefined,
): TlsPeer {
  if (alpn === 'h2' && socket.alpnProtocol !== 'h2') {
    throw new SpiffeError('UNAUTHENTICATED', 'the client does not offer ALPN "h2"');
  }
  const certificates = peerCertificatesOf(socket);
  if (certificates.length === 0) return { kind: 'tls', address, port, certificates };
  const { spiffeId } = verifyPeer(certificates, findBundle, new Date());
  return { kind: 'tls', address, port, spiffeId, certificates };
}

function addressOf({ remoteAddress = '', remotePort: port = 0 }: Socket): ClientAddress {
  return { address: usualForm(remoteAddress), port };
}

function useContext(server: TlsServer, identity: TlsIdentity, policy: TlsPolicy): void {
  withSecureContextOptions(identity, policy, (options) => server.setSecureContext(options));
}

async function listen(server: Server, { address, port, reusePort = false }: TlsListenerOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(
        new SpiffeError('SOCKET_UNUSABLE', `cannot listen on ${address} port ${port}: ${adviceOn(cause)}`, { cause }),
      );
    });
    try {
      server.listen({ host: address, port, reusePort });
    } catch (cause) {
      reject(new SpiffeError('SOCKET_UNUSABLE', `cannot listen on ${address} port ${port}: no such port`, { cause }));
    }
  });
  server.removeAllListeners('error');
}

function adviceOn({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'it is in use, stop what listens there or choose another port';
    case 'EACCES':
      return 'that is not allowed, choose a port from 1024 on or give the capability CAP_NET_BIND_SERVICE';
    case 'EADDRNOTAVAIL':
      return 'this host does not have that address';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'no such host name';
    default:
      return message;
  }
}

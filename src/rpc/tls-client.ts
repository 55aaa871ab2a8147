import { isIP, type Socket } from 'node:net';
import { connect, createSecureContext, type TLSSocket } from 'node:tls';
import { CallCredentials, ChannelCredentials } from '@grpc/grpc-js';
import type { Bundle } from '../spiffe/bundle.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { validateX509Svid } from '../spiffe/x509-svid.ts';
import {
  claimedIdOf,
  peerCertificatesOf,
  type TlsIdentity,
  type TlsPolicy,
  withSecureContextOptions,
} from './tls-identity.ts';

export interface SpiffeServerOptions extends TlsPolicy {
  /** Who the server must be. */
  readonly expectedId: SpiffeId;
  /** The bundle of the expected ID's trust domain, asked at every connection. */
  bundle(): Bundle;
  /** What we show, asked at every connection; without it we are anonymous. */
  identity?(): TlsIdentity | undefined;
  /** Takes the server's word for its SPIFFE ID: for the very first contact, without a bundle, and open to an impostor. */
  readonly insecureBootstrap?: boolean;
}

export interface SpiffeCredentialsOptions extends SpiffeServerOptions {
  /** Told why TLS with a server that answered came to nothing: gRPC tells callers only in words of its own. */
  onFailure?(error: unknown): void;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
/**
 * Silence after which TCP asks whether the other side is there still, every second then and ten times: a server that ended
 * while the network was cut cannot say so, and a call that it had taken in would wait for its deadline. Not HTTP/2's pings:
 * gRPC's servers, SPIRE's among them, hang up on who sends them more than once in five minutes.
 */
const KEEP_ALIVE_MS = 5_000;

// grpc-js has no public way to make connections oneself. Its version is pinned and a contract test watches these shapes.
type CreateSecureConnector = ChannelCredentials['_createSecureConnector'];
type SecureConnector = ReturnType<CreateSecureConnector>;

/** Credentials for channels to servers that are known by their SPIFFE ID. What changes counts from the next connection on. */
export function createSpiffeCredentials(options: SpiffeCredentialsOptions): ChannelCredentials {
  return new SpiffeCredentials(options);
}

class SpiffeCredentials extends ChannelCredentials {
  readonly #options: SpiffeCredentialsOptions;

  constructor(options: SpiffeCredentialsOptions) {
    super();
    this.#options = options;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(...[target, , callCredentials]: Parameters<CreateSecureConnector>): SecureConnector {
    const servername = serverNameOf(target.path);
    return {
      connect: async (socket) => ({ socket: await this.#connect(socket, servername), secure: true }),
      waitForReady: async () => {},
      getCallCredentials: () => callCredentials ?? CallCredentials.createEmpty(),
      destroy: () => {},
    };
  }

  async #connect(socket: Socket, servername: string | undefined): Promise<TLSSocket> {
    try {
      return await connectToSpiffeServer(socket, servername, { ...this.#options, alpn: 'h2' });
    } catch (error) {
      this.#options.onFailure?.(error);
      throw error;
    }
  }
}

/** `host:port` less its port. */
function serverNameOf(target: string): string | undefined {
  return serverNameFor(target.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'));
}

/** For SNI, which takes no address: then there is nothing. Source: RFC 6066 §3. */
export function serverNameFor(host: string): string | undefined {
  return host === '' || isIP(host) !== 0 ? undefined : host;
}

/**
 * Shakes hands with a server that is known by its SPIFFE ID, and destroys the socket where that fails.
 *
 * @throws SpiffeError `SERVER_UNREACHABLE` where the handshake fails; and whatever the verification says.
 */
export async function connectToSpiffeServer(
  socket: Socket,
  servername: string | undefined,
  options: SpiffeServerOptions & { readonly alpn: 'h2' | 'http/1.1' },
): Promise<TLSSocket> {
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  const identity = options.identity?.();
  const secureContext = withSecureContextOptions(identity, options, createSecureContext);
  const tlsSocket = connect({
    socket,
    secureContext,
    ALPNProtocols: [options.alpn],
    rejectUnauthorized: false, // by OpenSSL: requireExpected verifies
    ...(servername === undefined ? {} : { servername }),
  });
  try {
    await handshakeOf(tlsSocket);
    requireExpected(tlsSocket, options);
    return tlsSocket;
  } catch (error) {
    tlsSocket.destroy();
    const keyFailure = identity && 'lastFailure' in identity.privateKey ? identity.privateKey.lastFailure : undefined;
    if (keyFailure === undefined) throw error;
    throw new SpiffeError('SERVER_UNREACHABLE', `the TLS key did not sign: ${keyFailure}`, { cause: error });
  }
}

/** Waits for its end. @throws SpiffeError `SERVER_UNREACHABLE` */
export function handshakeOf(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string, cause?: unknown) =>
      reject(new SpiffeError('SERVER_UNREACHABLE', `the TLS handshake failed: ${reason}`, { cause }));
    const timer = setTimeout(() => fail(`it took more than ${HANDSHAKE_TIMEOUT_MS} ms`), HANDSHAKE_TIMEOUT_MS);
    socket.once('secureConnect', resolve);
    socket.on('error', (error) => fail(error.message, error)); // stays, for what comes later
    socket.once('close', () => fail('the server closed the connection'));
    for (const event of ['secureConnect', 'error', 'close']) socket.once(event, () => clearTimeout(timer));
  });
}

/** @throws SpiffeError */
function requireExpected(
  socket: TLSSocket,
  { expectedId, bundle, insecureBootstrap, alpn }: SpiffeServerOptions & { readonly alpn: string },
): void {
  if (alpn === 'h2' && socket.alpnProtocol !== 'h2') {
    throw new SpiffeError('SERVER_UNREACHABLE', 'the server does not speak ALPN "h2", it is no gRPC server');
  }
  const certificates = peerCertificatesOf(socket);
  const claimedId = claimedIdOf(certificates);
  if (claimedId !== expectedId) {
    throw new SpiffeError('CERTIFICATE_UNTRUSTED', `the server says it is ${claimedId}, expected ${expectedId}`);
  }
  if (!insecureBootstrap) validateX509Svid(certificates, bundle(), new Date());
}

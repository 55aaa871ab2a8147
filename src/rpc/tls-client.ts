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

export interface SpiffeCredentialsOptions extends TlsPolicy {
  /** Who the server must be. */
  readonly expectedId: SpiffeId;
  /** The bundle of the expected ID's trust domain, asked at every connection. */
  bundle(): Bundle;
  /** What we show, asked at every connection; without it we are anonymous. */
  identity?(): TlsIdentity | undefined;
  /** Takes the server's word for its SPIFFE ID: for the very first contact, without a bundle, and open to an impostor. */
  readonly insecureBootstrap?: boolean;
  /** Told why TLS with a server that answered came to nothing: gRPC tells callers only in words of its own. */
  onFailure?(error: unknown): void;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;

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
      connect: async (socket) => ({ socket: await connectTls(socket, servername, this.#options), secure: true }),
      waitForReady: async () => {},
      getCallCredentials: () => callCredentials ?? CallCredentials.createEmpty(),
      destroy: () => {},
    };
  }
}

/** `host:port` less its port; nothing where the host is an address, which SNI does not take. Source: RFC 6066 §3. */
function serverNameOf(target: string): string | undefined {
  const host = target.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return host === '' || isIP(host) !== 0 ? undefined : host;
}

/** @throws SpiffeError `SERVER_UNREACHABLE` where the handshake fails; and whatever the verification says. */
async function connectTls(
  socket: Socket,
  servername: string | undefined,
  options: SpiffeCredentialsOptions,
): Promise<TLSSocket> {
  const identity = options.identity?.();
  const secureContext = withSecureContextOptions(identity, options, createSecureContext);
  const tlsSocket = connect({
    socket,
    secureContext,
    ALPNProtocols: ['h2'],
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
    const failure =
      keyFailure === undefined
        ? error
        : new SpiffeError('SERVER_UNREACHABLE', `the TLS key did not sign: ${keyFailure}`, { cause: error });
    options.onFailure?.(failure);
    throw failure;
  }
}

function handshakeOf(socket: TLSSocket): Promise<void> {
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
function requireExpected(socket: TLSSocket, { expectedId, bundle, insecureBootstrap }: SpiffeCredentialsOptions): void {
  if (socket.alpnProtocol !== 'h2') {
    throw new SpiffeError('SERVER_UNREACHABLE', 'the server does not speak ALPN "h2", it is no gRPC server');
  }
  const certificates = peerCertificatesOf(socket);
  const claimedId = claimedIdOf(certificates);
  if (claimedId !== expectedId) {
    throw new SpiffeError('CERTIFICATE_UNTRUSTED', `the server says it is ${claimedId}, expected ${expectedId}`);
  }
  if (!insecureBootstrap) validateX509Svid(certificates, bundle(), new Date());
}

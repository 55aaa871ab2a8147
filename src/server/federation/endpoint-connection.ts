import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';
import { connectToSpiffeServer, handshakeOf, serverNameFor } from '../../rpc/tls-client.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { isSpiffeError, messageOf, SpiffeError } from '../../spiffe/error.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { explainWebHandshake } from './web-handshake-failure.ts';

/** How the server of a bundle is known. */
export type EndpointTrust =
  | { readonly type: 'https_web'; readonly roots: SecureContext }
  | {
      readonly type: 'https_spiffe';
      readonly endpointSpiffeId: SpiffeId;
      /** Of the trust domain of `endpointSpiffeId`. */
      readonly bundle: Bundle;
      readonly requirePqKem: boolean;
    };

const HTTPS_PORT = 443;

/**
 * Connects to the server of a bundle and verifies it. Disposing is the caller's.
 *
 * @throws SpiffeError `SERVER_UNREACHABLE`, `CERTIFICATE_UNTRUSTED`; and whatever the verification of an X.509-SVID says.
 */
export async function connectToEndpoint(url: URL, trust: EndpointTrust, signal: AbortSignal): Promise<TLSSocket> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const socket = await openSocket(host, url.port === '' ? HTTPS_PORT : Number(url.port), signal);
  const abort = () => socket.destroy();
  signal.addEventListener('abort', abort);
  try {
    if (trust.type === 'https_web') return await shakeHandsWithWebServer(socket, host, trust.roots);
    return await connectToSpiffeServer(socket, serverNameFor(host), {
      alpn: 'http/1.1',
      expectedId: trust.endpointSpiffeId,
      bundle: () => trust.bundle,
      requirePqKem: trust.requirePqKem,
    });
  } catch (error) {
    socket.destroy();
    if (signal.aborted) {
      throw new SpiffeError('SERVER_UNREACHABLE', 'the TLS handshake took too long', { cause: error });
    }
    throw trust.type === 'https_spiffe' ? explainRefusal(error) : error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function openSocket(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const socket = connectTcp({ host, port });
  const abort = () => socket.destroy(new Error('it took too long'));
  signal.addEventListener('abort', abort);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
      if (signal.aborted) abort();
    });
    socket.removeAllListeners('error');
    socket.on('error', () => {}); // TLS tells of what comes later
    return socket;
  } catch (cause) {
    throw new SpiffeError('SERVER_UNREACHABLE', `cannot connect to ${host} port ${port}: ${reasonOf(cause)}`, {
      cause,
    });
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function shakeHandsWithWebServer(socket: Socket, host: string, roots: SecureContext): Promise<TLSSocket> {
  const servername = serverNameFor(host);
  const tls = connectTls({
    socket,
    host,
    secureContext: roots,
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: true,
    ...(servername === undefined ? {} : { servername }),
  });
  try {
    await handshakeOf(tls);
    return tls;
  } catch (error) {
    throw explainWebHandshake(error, host);
  }
}

/** Of several addresses that were tried, Node has each reason in a list, and none in its message. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join('; ');
  return messageOf(cause);
}

/** The verification of an X.509-SVID does not know whose it is. */
function explainRefusal(error: unknown): unknown {
  if (!isSpiffeError(error) || error.code === 'SERVER_UNREACHABLE') return error;
  return new SpiffeError('CERTIFICATE_UNTRUSTED', `the bundle endpoint is not authenticated: ${error.message}`, {
    cause: error,
  });
}

import { constants } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type SecureContextOptions } from 'node:tls';
import { messageOf } from '../spiffe/error.ts';
import type { FileIdentity } from './certificate-files.ts';
import { listen, type TcpListener, type TcpListenerOptions } from './tcp-listener.ts';

/** What is shown at this moment, and word of what follows. */
export interface ShownIdentity {
  /** Undefined: there is none yet, and handshakes fail. */
  readonly current: FileIdentity | undefined;
  /** @returns what ends it. */
  subscribe(listener: (identity: FileIdentity) => void): () => void;
}

export interface TlsListenerOptions extends TcpListenerOptions {
  /** Only TLS 1.3 with X25519MLKEM768: whoever cannot do that does not connect. */
  readonly requirePqKem?: boolean;
  /** Looks at a connection before its handshake. @returns false, or takes it over */
  readonly divert?: (socket: Socket) => Promise<boolean>;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * Shows a certificate; clients show one where the identity has authorities for theirs.
 *
 * @throws SpiffeError `SOCKET_UNUSABLE`
 */
export async function listenWithTls(shown: ShownIdentity, options: TlsListenerOptions): Promise<TcpListener> {
  const { log, setting, divert, requirePqKem = false } = options;
  const mustShow = shown.current?.clientCas !== undefined;
  const tls = createTlsServer({
    ...(shown.current === undefined ? {} : toContext(shown.current, requirePqKem)),
    requestCert: mustShow,
    rejectUnauthorized: mustShow,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  });
  tls.on('secureConnection', options.onConnection);
  tls.on('tlsClientError', (error, socket) => {
    const { remoteAddress: address, remotePort: port } = socket;
    log.debug('a TLS handshake failed', { setting, address, port, reason: error.message });
    socket.destroy();
  });
  const receive = async (socket: Socket) => {
    try {
      if ((await divert?.(socket)) !== true && !socket.destroyed) tls.emit('connection', socket);
    } catch (error) {
      socket.destroy();
      log.debug('a connection was refused', {
        setting,
        reason: messageOf(error),
      });
    }
  };
  const listener = await listen(
    createServer((socket) => void receive(socket)),
    options,
  );
  const unsubscribe = shown.subscribe((identity) => tls.setSecureContext(toContext(identity, requirePqKem)));
  return {
    port: listener.port,
    [Symbol.asyncDispose]: async () => {
      unsubscribe();
      await listener[Symbol.asyncDispose]();
    },
  };
}

/** Without tickets: a client would come back with one after its authority has gone. */
function toContext({ certificates, privateKey, clientCas }: FileIdentity, requirePqKem: boolean): SecureContextOptions {
  return {
    cert: certificates.map(toPem).join(''),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    ca: clientCas ?? [], // absent would mean Mozilla's
    minVersion: requirePqKem ? 'TLSv1.3' : 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    ...(requirePqKem ? { ecdhCurve: 'X25519MLKEM768' } : {}),
  };
}

function toPem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

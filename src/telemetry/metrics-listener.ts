import { constants } from 'node:crypto';
import { createServer as createTlsServer, type SecureContextOptions } from 'node:tls';
import { listen, type TcpListener, type TcpListenerOptions } from '../http/tcp-listener.ts';
import type { CertificateFiles, FileIdentity } from './certificate-files.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * With a certificate of files, whose authorities sign those of clients where it has some.
 *
 * @throws SpiffeError `SOCKET_UNUSABLE`
 */
export async function listenWithFiles(files: CertificateFiles, options: TcpListenerOptions): Promise<TcpListener> {
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

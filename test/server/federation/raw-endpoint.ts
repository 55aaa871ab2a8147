import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { TestSvid } from '../../../src/testing/test-authority.ts';
import { encodePem } from '../../../src/x509/pem.ts';

/** Over TLS, and says whatever a test wants to whoever asks. Disposing closes it. */
export class RawEndpoint implements AsyncDisposable {
  /** How often somebody came through the handshake. */
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<TLSSocket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(
    { certificates, privateKey }: TestSvid,
    answer: (socket: TLSSocket, request: Buffer) => void,
  ): Promise<RawEndpoint> {
    const server = createServer({
      cert: certificates.map((der) => encodePem('CERTIFICATE', der)).join(''),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    });
    const endpoint = new RawEndpoint(server);
    server.on('secureConnection', (socket) => {
      endpoint.connections += 1;
      endpoint.#sockets.add(socket);
      socket.on('error', () => {});
      socket.once('data', (data: Buffer) => answer(socket, data));
    });
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return endpoint;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

/** A whole HTTP answer. */
export function httpAnswer(body: string | Uint8Array, status = '200 OK', headers: readonly string[] = []): Buffer {
  const bytes = Buffer.from(body);
  const head = [`HTTP/1.1 ${status}`, `Content-Length: ${bytes.length}`, ...headers];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes]);
}

import type { Socket } from 'node:net';
import { createServer, type Server } from 'node:tls';
import { peekAlpnProtocols } from './client-hello.ts';

/** RFC 8737 §3 */
const PROTOCOL = 'acme-tls/1';
const WAIT_MS = 10_000;

/** Answers the challenge tls-alpn-01 on the port of the bundle endpoint, while one is pending; partners go on meanwhile. */
export class TlsAlpnChallenge {
  #server: Server | undefined;

  /** Shows a certificate to whoever speaks the protocol of the challenge. @returns what ends it */
  answer({ key, cert }: { readonly key: string | Buffer; readonly cert: string | Buffer }): Disposable {
    const server = createServer({ key, cert, ALPNProtocols: [PROTOCOL], handshakeTimeout: WAIT_MS }, (socket) => {
      socket.on('error', () => {});
      socket.end();
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.#server = server;
    return {
      [Symbol.dispose]: () => {
        if (this.#server === server) this.#server = undefined;
      },
    };
  }

  /** @returns whether the connection was for the challenge, which it is then answered by */
  async divert(socket: Socket): Promise<boolean> {
    if (this.#server === undefined) return false;
    const protocols = await peekAlpnProtocols(socket, WAIT_MS);
    const server = this.#server;
    if (server === undefined || !protocols.includes(PROTOCOL)) return false;
    server.emit('connection', socket);
    return true;
  }
}

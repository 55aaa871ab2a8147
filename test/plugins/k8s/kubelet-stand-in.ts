import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createServerInClear, type Server } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { TestAuthority, TestCredential } from '../../../src/testing/test-authority.ts';

export interface KubeletStandInOptions {
  readonly authority: TestAuthority;
  /** In clear, as on the read-only port, where there is none. */
  readonly credential: TestCredential | undefined;
}

/** How it answers a request that it lets in. */
export type Answer = (response: ServerResponse) => void;

/** Listens on loopback as a kubelet does, and answers `GET /pods` with bytes that a test gives it. */
export class KubeletStandIn implements AsyncDisposable {
  readonly #server: Server;
  answer: Answer = () => {};
  /** Tokens that it takes; without one in the list it takes whoever has a certificate, or anybody. */
  tokens: readonly string[] = [];
  /** Whether a client has to show a certificate of the authority. */
  wantsCertificate = false;
  /** Of each request that it let in: the serial number of the client's certificate, or undefined. */
  readonly clients: (string | undefined)[] = [];
  /** Whatever arrived, let in or not. */
  readonly authorizations: (string | undefined)[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => this.#serve(request, response));
  }

  static async start({ authority, credential }: KubeletStandInOptions): Promise<KubeletStandIn> {
    const server =
      credential === undefined
        ? createServerInClear()
        : createServer({
            cert: credential.certificatePem,
            key: credential.privateKeyPem,
            ca: authority.certificatePem,
            requestCert: true,
            rejectUnauthorized: false,
          });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return new KubeletStandIn(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { authorization } = request.headers;
    this.authorizations.push(authorization);
    const socket = request.socket as Partial<TLSSocket>;
    if (this.tokens.length > 0 && !this.tokens.some((token) => authorization === `Bearer ${token}`)) {
      response.writeHead(401).end('Unauthorized');
      return;
    }
    if (this.wantsCertificate && socket.authorized !== true) {
      response.writeHead(401).end('Unauthorized');
      return;
    }
    if (request.method !== 'GET' || request.url !== '/pods') {
      response.writeHead(404).end();
      return;
    }
    this.clients.push(socket.getPeerCertificate?.().serialNumber);
    this.answer(response);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    if (this.#server.listening) await once(this.#server, 'close');
  }
}

/** Answers what a kubelet does: JSON with its length. */
export function json(body: string | Uint8Array): Answer {
  return (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  };
}

import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { TestAuthority } from '../../../src/testing/test-authority.ts';
import type { Exchange } from './exchange.ts';

/** How it answers a request. */
export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

export interface Arrived {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  readonly body: string;
  /** Of the client's certificate, where it has shown one of the authority. */
  readonly clientName: string | undefined;
}

/** Listens on loopback as an API server does, and answers what a real one answered, or what a test gives it. */
export class ApiStandIn implements AsyncDisposable {
  readonly #server: Server;
  readonly #authority: TestAuthority;
  answer: Answer = (response) => response.writeHead(500).end();
  readonly arrived: Arrived[] = [];
  #connections = 0;

  private constructor(server: Server, authority: TestAuthority) {
    this.#server = server;
    this.#authority = authority;
    server.on('secureConnection', () => {
      this.#connections += 1;
    });
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#serve(request, response).catch((error) => response.destroy(error));
    });
  }

  static async start(authority: TestAuthority, dnsNames: readonly string[] = ['localhost']): Promise<ApiStandIn> {
    const { certificatePem, privateKeyPem } = await authority.issueLeaf({ dnsNames });
    const server = createServer({
      cert: certificatePem,
      key: privateKeyPem,
      ca: authority.certificatePem,
      requestCert: true,
      rejectUnauthorized: false,
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return new ApiStandIn(server, authority);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** How many there were. */
  get connections(): number {
    return this.#connections;
  }

  /** Answers each request with what was recorded for its method and path, and 404 without Kubernetes' words otherwise. */
  replay(exchanges: readonly Exchange[]): void {
    this.answer = (response, { method, url }) => {
      const found = exchanges.find((each) => each.method === method && each.path === url);
      if (found === undefined) response.writeHead(404).end('nothing was recorded');
      else sendJson(response, found.status, found.body);
    };
  }

  forget(): void {
    this.arrived.length = 0;
    this.#connections = 0;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { authorization, 'content-type': contentType } = request.headers;
    const socket = request.socket as TLSSocket;
    this.arrived.push({
      method: request.method ?? '',
      path: request.url ?? '',
      authorization,
      contentType,
      body: String(Buffer.concat(chunks)),
      clientName: socket.authorized ? String(socket.getPeerCertificate().subject.CN) : undefined,
    });
    this.answer(response, request);
  }

  /** @param more fields of the cluster and of the user */
  async writeKubeconfig(path: string, more: { cluster?: object; user?: object } = {}): Promise<string> {
    const text = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'c',
          cluster: {
            server: `https://localhost:${this.port}`,
            'certificate-authority-data': Buffer.from(this.#authority.certificatePem).toString('base64'),
            ...more.cluster,
          },
        },
      ],
      users: [{ name: 'u', user: more.user ?? { token: 'secret' } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    });
    await writeFile(path, text, { mode: 0o600 });
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    if (this.#server.listening) await once(this.#server, 'close');
  }
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface WebCall {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}
export interface WebReply {
  /** 200 by default. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}
/** `never` leaves the request without an answer. */
export type WebHandler = (call: WebCall) => WebReply | 'never';

/** A web server on loopback whose pages a test sets, and which remembers who asked. */
export class LoopbackWeb implements AsyncDisposable {
  readonly calls: WebCall[] = [];
  readonly pages = new Map<string, WebHandler>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'http://loopback');
        const { method = '', headers } = request;
        const call = { method, path, query, headers, body: Buffer.concat(chunks).toString() };
        this.calls.push(call);
        const reply = this.pages.get(path)?.(call) ?? { status: 404, body: 'not here' };
        if (reply === 'never') return;
        response.writeHead(reply.status ?? 200, reply.headers).end(reply.body);
      });
    });
  }

  static async start(): Promise<LoopbackWeb> {
    const web = new LoopbackWeb();
    web.#server.listen(0, '127.0.0.1');
    await once(web.#server, 'listening');
    return web;
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `127.0.0.1:${port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  callsOf(path: string): readonly WebCall[] {
    return this.calls.filter((call) => call.path === path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from '../log/logger.ts';

export interface Page {
  readonly status: number;
  readonly contentType: string;
  /** As bytes where it stays the same: text is encoded for every answer. */
  readonly text: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a page may look at of a request. */
export interface PageRequest {
  /** By its name in lower case; undefined where there is none, and the first of several. */
  header(name: string): string | undefined;
}

export type RenderPage = (query: URLSearchParams, request: PageRequest) => Promise<Page>;

export interface PageServerOptions {
  /** By path, whole and without the query, which a page may look at. */
  readonly pages: ReadonlyMap<string, RenderPage>;
  /** What is said of any other path, such as `metrics are at /metrics`. */
  readonly directions: string;
  readonly log: Logger;
  /** For a request with its answer, and for the pause until the next one. */
  readonly timeLimitMs?: number;
  readonly maxConnections?: number;
  /** Each request, at the level debug. */
  readonly logRequests?: boolean;
}

const TIME_LIMIT_MS = 15_000;
/** Of somebody who asks on purpose there are few, of others there may be many. */
const DEFAULT_MAX_CONNECTIONS = 32;
const MAX_HEADER_BYTES = 8 * 1024;

/** Answers GET and HEAD of some pages on connections that somebody else accepted, and nothing else. Disposing cuts them. */
export class PageServer implements Disposable {
  readonly #options: PageServerOptions;
  readonly #server: Server;
  readonly #connections = new Map<Socket, NodeJS.Timeout>();

  constructor(options: PageServerOptions) {
    this.#options = options;
    this.#server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
      response.once('close', () => this.#connections.get(request.socket)?.refresh());
      void this.#answer(request, response);
    });
    // Node's own limits count from a server that listens, which this one does not: #connections has them.
    this.#server.keepAliveTimeout = 0;
  }

  accept(socket: Socket): void {
    const { maxConnections: most = DEFAULT_MAX_CONNECTIONS } = this.#options;
    if (this.#connections.size >= most) {
      this.#options.log.debug('a connection was refused: there are too many', {
        most,
        about: this.#options.directions,
      });
      socket.destroy();
      return;
    }
    const timer = setTimeout(() => socket.destroy(), this.#options.timeLimitMs ?? TIME_LIMIT_MS);
    this.#connections.set(socket, timer);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#connections.delete(socket);
    });
    socket.on('error', () => {}); // a peer that resets its connection is no event of ours
    this.#server.emit('connection', socket);
  }

  [Symbol.dispose](): void {
    for (const socket of this.#connections.keys()) socket.destroy();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pages, directions, log, logRequests = false } = this.#options;
    if (logRequests) logRequest(request, log);
    const [path = '', query = ''] = (request.url ?? '').split('?');
    const render = pages.get(path);
    if (render === undefined) return refuse(response, { status: 404, message: directions });
    const refusal = refusalOf(request);
    if (refusal !== undefined) return refuse(response, refusal);
    try {
      const { status, contentType, text, headers } = await render(new URLSearchParams(query), {
        header: (name) => request.headersDistinct[name]?.[0],
      });
      const body = typeof text === 'string' ? Buffer.from(text) : text;
      const length = status === 304 ? {} : { 'Content-Length': body.length };
      response.writeHead(status, { 'Content-Type': contentType, ...length, ...headers });
      response.end(request.method === 'HEAD' || status === 304 ? undefined : body);
    } catch (error) {
      log.error('a page was not written', { path, error: error instanceof Error ? error.stack : String(error) });
      response.writeHead(500, { Connection: 'close' });
      response.end();
    }
  }
}

function logRequest({ method, url, headers, socket }: IncomingMessage, log: Logger): void {
  const { remoteAddress: address, remotePort: port } = socket;
  log.debug('a request', { address, port, method, url, user_agent: headers['user-agent'] });
}

interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function refusalOf({ method = '', headers }: IncomingMessage): Refusal | undefined {
  if (method !== 'GET' && method !== 'HEAD') {
    return { status: 405, message: 'only GET and HEAD', headers: { Allow: 'GET, HEAD' } };
  }
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = headers;
  if (length !== '0' || encoding !== undefined) return { status: 413, message: 'no body is wanted' };
  return undefined;
}

function refuse(response: ServerResponse, { status, message, headers = {} }: Refusal): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close', ...headers });
  response.end(`${message}\n`);
}

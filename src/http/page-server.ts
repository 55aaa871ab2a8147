import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from '../log/logger.ts';

export interface Page {
  readonly status: number;
  readonly contentType: string;
  /** As bytes where it stays the same: text is encoded for every answer. */
  readonly text: string | Uint8Array;
}

export interface PageServerOptions {
  /** By path, whole and without the query, which a page may look at. */
  readonly pages: ReadonlyMap<string, (query: URLSearchParams) => Promise<Page>>;
  /** What is said of any other path, such as `metrics are at /metrics`. */
  readonly directions: string;
  readonly log: Logger;
  /** For a request with its answer, and for the pause until the next one. */
  readonly timeLimitMs?: number;
  readonly maxConnections?: number;
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
    const { pages, directions, log } = this.#options;
    const [path = '', query = ''] = (request.url ?? '').split('?');
    const render = pages.get(path);
    if (render === undefined) return refuse(response, { status: 404, message: directions });
    const refusal = refusalOf(request);
    if (refusal !== undefined) return refuse(response, refusal);
    try {
      const { status, contentType, text } = await render(new URLSearchParams(query));
      const body = typeof text === 'string' ? Buffer.from(text) : text;
      response.writeHead(status, { 'Content-Type': contentType, 'Content-Length': body.length });
      response.end(request.method === 'HEAD' ? undefined : body);
    } catch (error) {
      log.error('a page was not written', { path, error: error instanceof Error ? error.stack : String(error) });
      response.writeHead(500, { Connection: 'close' });
      response.end();
    }
  }
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

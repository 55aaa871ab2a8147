import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from '../log/logger.ts';
import { CONTENT_TYPE } from './exposition.ts';

export interface MetricsServerOptions {
  /** The text of a scrape. */
  readonly render: () => Promise<string>;
  readonly log: Logger;
  /** For a request with its answer, and for the pause until the next one. */
  readonly timeLimitMs?: number;
}

const TIME_LIMIT_MS = 15_000;
/** Of somebody who scrapes there is one, of others there may be many. */
const MAX_CONNECTIONS = 32;
const MAX_HEADER_BYTES = 8 * 1024;
const PATH = '/metrics';

/** Answers `GET /metrics` on connections that somebody else accepted, and nothing else. Disposing cuts them. */
export class MetricsServer implements Disposable {
  readonly #options: MetricsServerOptions;
  readonly #server: Server;
  readonly #connections = new Map<Socket, NodeJS.Timeout>();

  constructor(options: MetricsServerOptions) {
    this.#options = options;
    this.#server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
      response.once('close', () => this.#connections.get(request.socket)?.refresh());
      void this.#answer(request, response);
    });
    // Node's own limits count from a server that listens, which this one does not: #connections has them.
    this.#server.keepAliveTimeout = 0;
  }

  accept(socket: Socket): void {
    if (this.#connections.size >= MAX_CONNECTIONS) {
      this.#options.log.debug('a connection for metrics was refused: there are too many', { most: MAX_CONNECTIONS });
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
    const refusal = refusalOf(request);
    if (refusal !== undefined) {
      const { status, message, headers = {} } = refusal;
      response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close', ...headers });
      response.end(`${message}\n`);
      return;
    }
    try {
      const text = Buffer.from(await this.#options.render());
      response.writeHead(200, { 'Content-Type': CONTENT_TYPE, 'Content-Length': text.length });
      response.end(request.method === 'HEAD' ? undefined : text);
    } catch (error) {
      this.#options.log.error('metrics were not written', {
        error: error instanceof Error ? error.stack : String(error),
      });
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

function refusalOf({ method = '', url = '', headers }: IncomingMessage): Refusal | undefined {
  const [path] = url.split('?');
  if (path !== PATH) return { status: 404, message: `metrics are at ${PATH}` };
  if (method !== 'GET' && method !== 'HEAD') {
    return { status: 405, message: 'only GET and HEAD', headers: { Allow: 'GET, HEAD' } };
  }
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = headers;
  if (length !== '0' || encoding !== undefined) return { status: 413, message: 'no body is wanted' };
  return undefined;
}

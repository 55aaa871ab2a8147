import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, SpiffeError } from '../../plugin-sdk/index.ts';

const MAX_CONNECTIONS = 16;
const TIMEOUT_MS = 10_000;
const MAX_HEADER_BYTES = 8192;

/** One page on a port of this node, for as long as an attestation takes. Disposing closes the port. */
export class ChallengePage implements AsyncDisposable {
  readonly #server: Server;
  readonly #path: string;
  #nonce: string | undefined;

  private constructor(path: string) {
    this.#path = path;
    this.#server = createServer(
      { requestTimeout: TIMEOUT_MS, headersTimeout: TIMEOUT_MS, keepAlive: false, maxHeaderSize: MAX_HEADER_BYTES },
      this.#answer,
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.setTimeout(TIMEOUT_MS, (socket) => socket.destroy());
  }

  /** @param port any that is free where absent. @throws SpiffeError `SOCKET_UNUSABLE` */
  static async open(path: string, port = 0): Promise<ChallengePage> {
    const page = new ChallengePage(path);
    try {
      page.#server.listen(port);
      await once(page.#server, 'listening');
      return page;
    } catch (cause) {
      throw new SpiffeError(
        'SOCKET_UNUSABLE',
        `port ${port} cannot be listened on: ${messageOf(cause)}: set "port" to one that is free, or stop what has it`,
        { cause },
      );
    }
  }

  get port(): number {
    const address = this.#server.address();
    if (isTcp(address)) return address.port;
    throw new SpiffeError('INTERNAL', 'the page is closed');
  }

  /** The page is there from now on. */
  show(nonce: string): void {
    this.#nonce = nonce;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  readonly #answer: RequestListener = ({ method = '', url = '' }, response) => {
    const isChallenge = this.#nonce !== undefined && url === this.#path;
    const status = isChallenge ? (method === 'GET' ? 200 : 405) : 404;
    response.writeHead(status, { 'Content-Type': 'text/plain', Connection: 'close', 'Cache-Control': 'no-store' });
    response.end(status === 200 ? `${this.#nonce}\n` : undefined);
  };
}

function isTcp(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}

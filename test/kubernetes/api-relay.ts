import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestAuthority } from '../../src/testing/test-authority.ts';
import type { Exchange } from '../plugins/kubernetes/exchange.ts';
import { type ApiServer, NODE } from './api-server.ts';

/** Stands between a plugin and an API server, and keeps what passed. */
export class ApiRelay implements AsyncDisposable {
  readonly #server: Server;
  /** Since it was emptied last. Tokens, and what names a machine, are left out. */
  readonly exchanges: Exchange[] = [];

  private constructor(server: Server, api: ApiServer, authority: TestAuthority) {
    this.#server = server;
    server.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => {
      this.#pass(incoming, outgoing, api, authority).catch((error) => outgoing.destroy(error));
    });
  }

  static async start(api: ApiServer, authority: TestAuthority): Promise<ApiRelay> {
    const { certificatePem, privateKeyPem } = await authority.issueLeaf({ dnsNames: [NODE] });
    const server = createServer({ cert: certificatePem, key: privateKeyPem });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return new ApiRelay(server, api, authority);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse, api: ApiServer, authority: TestAuthority) {
    const { method = '', url: path = '' } = incoming;
    const question = await readAll(incoming);
    const { host: _, ...headers } = incoming.headers;
    const call = request({
      host: NODE,
      port: api.port,
      method,
      path,
      headers,
      ca: authority.certificatePem,
      agent: false,
    });
    call.end(question);
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    const body = await readAll(answer);
    const status = answer.statusCode ?? 0;
    this.exchanges.push({ method, path, status, body: JSON.parse(withoutSecrets(String(body))) });
    outgoing.writeHead(status, { 'content-type': answer.headers['content-type'] }).end(body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    if (this.#server.listening) await once(this.#server, 'close');
  }
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A review repeats the token that it was asked about, and a node tells of its machine. */
function withoutSecrets(text: string): string {
  return text.replace(/"(token|machineID|systemUUID|bootID|kernelVersion|osImage)":"[^"]*"/g, '"$1":"left out"');
}

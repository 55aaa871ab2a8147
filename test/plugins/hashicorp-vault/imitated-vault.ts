import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import { TestAuthority } from '../../../src/testing/test-authority.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { type Answer, type Body, PkiEngine, refusal, TransitEngine } from './imitated-engines.ts';

/** What a token of this Vault is good for. */
interface Lease {
  readonly seconds: number;
  readonly isRenewable: boolean;
  endsAt: number;
}

export const SECRETS = {
  token: 'hvs.of-the-operator',
  roleId: 'role-of-servers',
  secretId: 'secret-of-servers',
  serviceAccount: 'header.of-a-service-account.signature',
};

/**
 * Answers the calls of Vault's HTTP API that the plugins make, as its documentation has it: log-ins, tokens with leases, the
 * engines transit and PKI with real keys. It is an imitation, and no proof of a Vault.
 */
export class ImitatedVault implements AsyncDisposable {
  readonly url: string;
  readonly authority: TestAuthority;
  readonly transit = new TransitEngine();
  readonly pki: PkiEngine;
  /** `METHOD path`, in their order. */
  readonly asked: string[] = [];
  readonly tokens = new Map<string, Lease>();
  /** Of what log-ins give. */
  lease = { seconds: 3600, isRenewable: true };
  /** Answers in the place of the Vault, where it gives an answer. */
  override: ((method: string, path: string) => Answer | 'silence' | undefined) | undefined;
  readonly #stack: AsyncDisposableStack;

  private constructor(url: string, authority: TestAuthority, pki: PkiEngine, stack: AsyncDisposableStack) {
    this.url = url;
    this.authority = authority;
    this.pki = pki;
    this.#stack = stack;
    this.tokens.set(SECRETS.token, { seconds: 0, isRenewable: false, endsAt: Number.POSITIVE_INFINITY });
  }

  static async start({ isSecure = false }: { readonly isSecure?: boolean } = {}): Promise<ImitatedVault> {
    await using stack = new AsyncDisposableStack();
    const authority = stack.use(await TestAuthority.create('vault.example', 'Vault'));
    const leaf = await authority.issueLeaf({ dnsNames: ['localhost'] });
    const tls = {
      ...{ cert: leaf.certificatePem, key: leaf.privateKeyPem, requestCert: true, rejectUnauthorized: false },
      ca: encodePem('CERTIFICATE', authority.certificate.der),
    };
    const server = isSecure ? createTlsServer(tls) : createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    stack.defer(() => {
      server.close();
      server.closeAllConnections();
    });
    const { port } = server.address() as AddressInfo;
    const url = isSecure ? `https://localhost:${port}` : `http://127.0.0.1:${port}`;
    const vault = new ImitatedVault(url, authority, await PkiEngine.create(), stack.move());
    server.on('request', async (request, response) => {
      const answer = await vault.#answer(request);
      if (answer === 'silence') return;
      const { status, body, headers } = answer;
      response.writeHead(status, headers).end(body === undefined ? undefined : JSON.stringify(body));
    });
    return vault;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #answer(request: IncomingMessage): Promise<Answer | 'silence'> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body: Body = chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString());
    const { url = '' } = request;
    const [path = '', query] = url.replace('/v1/', '').split('?');
    const method = query === 'list=true' ? 'LIST' : (request.method ?? '');
    this.asked.push(`${method} ${path}`);
    const instead = this.override?.(method, path);
    if (instead !== undefined) return instead;
    if (/^auth\/.*\/login$/.test(path)) return this.#logIn(path, body, request);
    const token = String(request.headers['x-vault-token']);
    const lease = this.tokens.get(token);
    if (lease === undefined || lease.endsAt < Date.now()) return refusal(403, 'permission denied');
    if (path === 'auth/token/lookup-self') {
      return { status: 200, body: { data: { id: token, ttl: lease.seconds, renewable: lease.isRenewable } } };
    }
    if (path === 'auth/token/renew-self') return renew(token, lease);
    if (path === 'pki/root/sign-intermediate') return await this.pki.answer(body);
    const [engine, ...rest] = path.split('/').map(decodeURIComponent);
    return engine === 'transit'
      ? await this.transit.answer(method, rest, body)
      : refusal(404, `no handler for "${path}"`);
  }

  #logIn(path: string, body: Body, { socket }: IncomingMessage): Answer {
    const isKnown = {
      'auth/approle/login': body.role_id === SECRETS.roleId && body.secret_id === SECRETS.secretId,
      'auth/kubernetes/login': body.role === 'server' && body.jwt === SECRETS.serviceAccount,
      'auth/cert/login': socket instanceof TLSSocket && socket.authorized && body.name === 'servers',
    }[path];
    if (isKnown !== true) return refusal(400, 'invalid role or credentials');
    const token = `hvs.${randomUUID()}`;
    const { seconds, isRenewable } = this.lease;
    this.tokens.set(token, { seconds, isRenewable, endsAt: Date.now() + seconds * 1000 });
    return { status: 200, body: { auth: { client_token: token, lease_duration: seconds, renewable: isRenewable } } };
  }
}

function renew(token: string, lease: Lease): Answer {
  if (!lease.isRenewable) return refusal(400, 'lease is not renewable');
  lease.endsAt = Date.now() + lease.seconds * 1000;
  return { status: 200, body: { auth: { client_token: token, lease_duration: lease.seconds, renewable: true } } };
}

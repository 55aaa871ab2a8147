import { type IncomingMessage, request as requestInClear } from 'node:http';
import { Agent, request as requestOverTls } from 'node:https';
import { createSecureContext } from 'node:tls';
import { isSpiffeError, messageOf, readBody, readCapped, SpiffeError } from '../../plugin-sdk/index.ts';
import type { VaultSettings } from './config.ts';

export interface VaultRequest {
  /** `LIST` goes as `GET` with `list=true`, which Vault takes for it: servers and proxies need not know a method of its own. */
  readonly method: 'GET' | 'POST' | 'LIST' | 'DELETE';
  /** Below `v1/`. */
  readonly path: string;
  readonly body?: object;
  readonly token?: string | undefined;
}

/** What a Vault answers; undefined where that is nothing (204, or 404 for a list that is empty). */
export type VaultAnswer = Readonly<Record<string, unknown>> | undefined;

const DEADLINE_MS = 30_000;
const MAX_ANSWER_BYTES = 1024 * 1024;
const MAX_CONNECTIONS = 16;
const MAX_QUOTED_CHARACTERS = 300;

/** One Vault's API. Source: Vault's documentation of its HTTP API. Disposing ends its connections. */
export class VaultHttp implements Disposable {
  readonly #settings: VaultSettings;
  readonly #agent: Agent | undefined;

  private constructor(settings: VaultSettings, agent: Agent | undefined) {
    this.#settings = settings;
    this.#agent = agent;
  }

  /** @throws SpiffeError `CONFIG_INVALID` for files that cannot be used */
  static async open(settings: VaultSettings): Promise<VaultHttp> {
    if (settings.address.protocol === 'http:') return new VaultHttp(settings, undefined);
    const [ca, cert, key] = await Promise.all([
      readFile('ca_cert_path', settings.caCertPath),
      readFile('client_cert_path', settings.clientCertPath),
      readFile('client_key_path', settings.clientKeyPath),
    ]);
    const files = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
    return new VaultHttp(settings, createAgent(files, !settings.insecureSkipVerify));
  }

  [Symbol.dispose](): void {
    this.#agent?.destroy();
  }

  /** For messages. */
  get where(): string {
    return `the Vault at ${this.#settings.address.host}`;
  }

  /**
   * @throws SpiffeError `UNAVAILABLE` where it is not reached, sealed, or has no time; `PERMISSION_DENIED` where it does not let
   *   the token do so; `FAILED_PRECONDITION` for its other refusals; `TOO_LARGE`
   */
  async request(request: VaultRequest, signal: AbortSignal): Promise<VaultAnswer> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
    let answer: { readonly status: number; readonly text: string };
    try {
      answer = await this.#send(request, deadline);
    } catch (cause) {
      if (isSpiffeError(cause)) throw cause;
      if (signal.aborted) throw new SpiffeError('CANCELLED', `${this.where} was not waited for`, { cause });
      const reason = deadline.aborted ? `did not answer within ${DEADLINE_MS / 1000} s` : `: ${messageOf(cause)}`;
      throw new SpiffeError('UNAVAILABLE', `${this.where} ${reason}`.replace(' :', ':'), { cause });
    }
    const { status, text } = answer;
    const body = parse(text);
    if (status === 204 || (status === 404 && request.method === 'LIST')) return undefined;
    if (status === 200 && body !== undefined) return body;
    throw this.#refusal(request, status, body);
  }

  async #send(
    { method, path, body, token }: VaultRequest,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly text: string }> {
    const { address, namespace } = this.#settings;
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const url = new URL(
      `${address.pathname.replace(/\/$/, '')}/v1/${path}${method === 'LIST' ? '?list=true' : ''}`,
      address,
    );
    const start = address.protocol === 'http:' ? requestInClear : requestOverTls;
    const sending = start(url, {
      method: method === 'LIST' ? 'GET' : method,
      signal,
      ...(this.#agent === undefined ? {} : { agent: this.#agent }),
      headers: {
        'X-Vault-Request': 'true',
        ...(token === undefined ? {} : { 'X-Vault-Token': token }),
        ...(namespace === undefined ? {} : { 'X-Vault-Namespace': namespace }),
        ...(content === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': content.length }),
      },
    });
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      sending.once('response', resolve);
      sending.once('error', reject);
      sending.end(content);
    });
    const bytes = await readBody(
      response,
      MAX_ANSWER_BYTES,
      () => new SpiffeError('TOO_LARGE', `${this.where} answered with more than ${MAX_ANSWER_BYTES} bytes`),
    );
    return { status: response.statusCode ?? 0, text: bytes.toString('utf8') };
  }

  #refusal({ method, path }: VaultRequest, status: number, body: VaultAnswer): SpiffeError {
    const errors = Array.isArray(body?.errors) ? body.errors.filter((one) => typeof one === 'string') : [];
    const said = errors.length === 0 ? '' : `: ${errors.join('; ').slice(0, MAX_QUOTED_CHARACTERS)}`;
    const asked = `${this.where} answered ${status} to ${method} ${path}${said}`;
    switch (status) {
      case 307:
      case 308:
        return new SpiffeError('FAILED_PRECONDITION', `${asked}: redirects are not followed, name the active node`);
      case 403:
        return new SpiffeError('PERMISSION_DENIED', asked);
      case 429:
      case 472:
      case 473:
      case 500:
      case 502:
      case 503:
      case 504:
        return new SpiffeError('UNAVAILABLE', asked);
      default:
        return new SpiffeError('FAILED_PRECONDITION', asked);
    }
  }
}

function createAgent(files: { ca?: Buffer; cert?: Buffer; key?: Buffer }, rejectUnauthorized: boolean): Agent {
  try {
    const secureContext = createSecureContext({ ...files, minVersion: 'TLSv1.2' });
    return new Agent({ secureContext, rejectUnauthorized, keepAlive: true, maxSockets: MAX_CONNECTIONS });
  } catch (cause) {
    const reason = messageOf(cause); // OpenSSL's: of which part it is, and nothing of what is in it
    throw new SpiffeError('CONFIG_INVALID', `the certificates for the Vault cannot be used: ${reason}`, { cause });
  }
}

const readFile = async (key: string, path: string | undefined) =>
  path === undefined ? undefined : await readCapped(key, path);

function parse(text: string): VaultAnswer {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

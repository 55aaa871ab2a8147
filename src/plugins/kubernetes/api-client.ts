import { Agent, type RequestOptions, request as startRequest } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect,
  createSecureContext,
  type SecureContext,
} from 'node:tls';
import { answerTo, readBody, SpiffeError } from '../../plugin-sdk/index.ts';
import type { ApiAccess, ApiAccessFiles } from './api-access.ts';
import { explainConnection, explainStatus, findStatusObject } from './api-errors.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PATCH';
  /** With its query, all parts encoded. */
  readonly path: string;
  readonly body?: { readonly type: string; readonly value: unknown };
  /** What the right is called that it takes, for messages: `"get" on "pods"`. */
  readonly right: string;
  /** Statuses beside those of success that the caller tells apart, where the answer says so in Kubernetes' way. */
  readonly expected?: readonly number[];
}

export interface ApiAnswer {
  readonly status: number;
  /** What its JSON holds: yet to be checked. */
  readonly value: unknown;
}

/** etcd keeps objects of 1.5 MiB by default; managed fields and images of a node are in that. */
export const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;
const REQUEST_DEADLINE_MS = 10_000;
const MAX_CONNECTIONS = 16;
/** Shorter than an API server keeps a connection on which nothing happens. */
const KEEP_ALIVE_MS = 30_000;

/** Asks the API server of one cluster. A redirect is not followed. */
export class ApiClient implements Disposable {
  readonly #access: ApiAccessFiles;
  readonly #deadlineMs: number;
  #current: { readonly access: ApiAccess; readonly agent: VerifyingAgent } | undefined;

  /** @param deadlineMs of each request */
  constructor(access: ApiAccessFiles, deadlineMs = REQUEST_DEADLINE_MS) {
    this.#access = access;
    this.#deadlineMs = deadlineMs;
  }

  /**
   * @throws SpiffeError `UNAVAILABLE` where another attempt may do better, `FAILED_PRECONDITION` where somebody has to mend
   *   something first, `TOO_LARGE`, `CANCELLED`
   */
  async send(request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer> {
    const { access, agent } = await this.#connection();
    const where = `the API server at ${access.server.host}`;
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(this.#deadlineMs)]);
    try {
      return await exchange({ access, agent, where }, request, deadline);
    } catch (cause) {
      if (cause instanceof SpiffeError) throw cause;
      if (signal.aborted) throw new SpiffeError('CANCELLED', `${where} was not waited for`, { cause });
      if (deadline.aborted) {
        const message = `${where} did not answer within ${this.#deadlineMs / 1000} s`;
        throw new SpiffeError('UNAVAILABLE', message, { cause });
      }
      throw explainConnection(where, cause);
    }
  }

  /** Connections of credentials that were replaced are not used any more. */
  async #connection() {
    const access = await this.#access.get();
    if (this.#current?.access !== access) {
      this.#current?.agent.retire();
      this.#current = { access, agent: new VerifyingAgent(access) };
    }
    return this.#current;
  }

  /** What is under way goes on. */
  [Symbol.dispose](): void {
    this.#current?.agent.retire();
    this.#current = undefined;
  }
}

interface Connection {
  readonly access: ApiAccess;
  readonly agent: VerifyingAgent;
  /** For messages. */
  readonly where: string;
}

async function exchange({ access, agent, where }: Connection, request: ApiRequest, signal: AbortSignal) {
  const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body.value), 'utf8');
  const { hostname, port, pathname } = access.server;
  const call = startRequest({
    agent,
    hostname: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 443 : Number(port),
    path: pathname.replace(/\/$/, '') + request.path,
    method: request.method,
    maxHeaderSize: MAX_HEADER_BYTES,
    signal,
    headers: {
      Accept: 'application/json',
      'User-Agent': 'assayer',
      ...(access.token === undefined ? {} : { Authorization: `Bearer ${access.token}` }),
      ...(body === undefined ? {} : { 'Content-Type': request.body?.type, 'Content-Length': body.length }),
    },
  });
  if (body !== undefined) call.write(body);
  const response = await answerTo(call);
  const status = response.statusCode ?? 0;
  const text = await readBody(
    response,
    MAX_ANSWER_BYTES,
    () => new SpiffeError('TOO_LARGE', `${where} answered with more than ${MAX_ANSWER_BYTES} bytes`),
  );
  const value = parseJson(text);
  if (status >= 200 && status < 300) {
    if (value !== undefined) return { status, value };
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `${where} answered with something other than JSON: is it an API server?`,
    );
  }
  const failure = findStatusObject(value);
  if (failure !== undefined && request.expected?.includes(status)) return { status, value };
  throw explainStatus({ where, status, location: response.headers.location, failure, right: request.right });
}

/** Hands out a connection once its server's certificate is verified: a token never leaves before. */
class VerifyingAgent extends Agent {
  readonly #tls: ConnectionOptions;

  constructor(access: ApiAccess) {
    super({ keepAlive: true, timeout: KEEP_ALIVE_MS, maxSockets: MAX_CONNECTIONS });
    const { hostname } = access.server;
    const name = access.serverName ?? hostname.replace(/^\[|\]$/g, '');
    this.#tls = {
      secureContext: secureContextOf(access),
      rejectUnauthorized: access.isVerified,
      servername: isIP(name) ? '' : name,
      checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
    };
  }

  /** Ends the connections that nobody uses; the others end a while after they were used last. */
  retire(): void {
    for (const socket of Object.values(this.freeSockets).flat()) socket?.destroy();
  }

  override createConnection(
    { host, port }: RequestOptions,
    callback?: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    const socket = connect({ ...this.#tls, host: host ?? '', port: Number(port) });
    const failed = (error: Error) => callback?.(error, socket);
    const late = () => socket.destroy(new Error('no connection came about in time'));
    socket.once('error', failed);
    socket.setTimeout(REQUEST_DEADLINE_MS).once('timeout', late);
    socket.once('secureConnect', () => {
      socket.setTimeout(0).off('timeout', late).off('error', failed);
      callback?.(null, socket);
    });
    return undefined;
  }
}

function secureContextOf({ authorities, client }: ApiAccess): SecureContext {
  return createSecureContext({
    minVersion: 'TLSv1.2',
    ...(authorities !== undefined && { ca: authorities }),
    ...(client !== undefined && { cert: client.certificate, key: client.key }),
  });
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}

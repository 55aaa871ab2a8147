import { once } from 'node:events';
import { type ClientRequest, request as startRequest } from 'node:http';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { answerTo, isSpiffeError, readBody, SpiffeError } from '../../plugin-sdk/index.ts';
import type { CredentialFiles } from './credential-files.ts';
import { explainConnection, explainStatus } from './kubelet-errors.ts';

/** Where the kubelet listens. */
export type KubeletAddress =
  | { readonly kind: 'read-only'; readonly port: number }
  | {
      readonly kind: 'secure';
      readonly port: number;
      /** Undefined: on this machine, by 127.0.0.1, where a certificate's names do not count. */
      readonly nodeName: string | undefined;
      readonly isVerified: boolean;
      readonly credentials: CredentialFiles;
    };

/** A node has 110 pods by default, and each is some 10 kB of JSON. */
export const MAX_POD_LIST_BYTES = 32 * 1024 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;
const REQUEST_DEADLINE_MS = 10_000;
const LOOPBACK = '127.0.0.1';

/** Asks one kubelet for the pods of its node. */
export class KubeletClient {
  readonly #address: KubeletAddress;

  constructor(address: KubeletAddress) {
    this.#address = address;
  }

  /**
   * The body of `GET /pods`. A redirect is not followed.
   *
   * @throws SpiffeError `UNAVAILABLE` where another attempt may do better, `FAILED_PRECONDITION` where somebody has to mend
   *   something first, `TOO_LARGE`
   */
  async fetchPodList(signal: AbortSignal): Promise<Buffer> {
    try {
      return await this.#fetch(signal);
    } catch (error) {
      // The token may just have been replaced.
      if (this.#address.kind !== 'secure' || !isSpiffeError(error, 'UNAUTHENTICATED')) throw error;
      if (!(await this.#address.credentials.reload())) throw error;
      return await this.#fetch(signal);
    }
  }

  async #fetch(signal: AbortSignal): Promise<Buffer> {
    const host = this.#address.kind === 'secure' ? (this.#address.nodeName ?? LOOPBACK) : LOOPBACK;
    const where = `the kubelet at ${isIP(host) === 6 ? `[${host}]` : host}:${this.#address.port}`;
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_DEADLINE_MS)]);
    try {
      const response = await answerTo(await this.#start(host, deadline));
      if (response.statusCode !== 200) {
        response.destroy();
        throw explainStatus(where, response.statusCode ?? 0, response.headers.location, this.#identity);
      }
      return await readBody(
        response,
        MAX_POD_LIST_BYTES,
        () => new SpiffeError('TOO_LARGE', `${where} answered with more than ${MAX_POD_LIST_BYTES} bytes of pods`),
      );
    } catch (cause) {
      if (cause instanceof SpiffeError) throw cause;
      if (signal.aborted) throw new SpiffeError('CANCELLED', `${where} was not waited for`, { cause });
      if (deadline.aborted) {
        throw new SpiffeError('UNAVAILABLE', `${where} did not answer within ${REQUEST_DEADLINE_MS / 1000} s`, {
          cause,
        });
      }
      throw explainConnection(where, cause);
    }
  }

  async #start(host: string, signal: AbortSignal): Promise<ClientRequest> {
    const address = this.#address;
    const shared = { host, port: address.port, path: '/pods', maxHeaderSize: MAX_HEADER_BYTES, signal };
    const headers = { Accept: 'application/json', Connection: 'close', 'User-Agent': 'assayer' };
    if (address.kind === 'read-only') return startRequest({ ...shared, agent: false, headers });
    const { secureContext, token } = await address.credentials.get();
    const socket = connect({
      host,
      port: address.port,
      secureContext,
      rejectUnauthorized: address.isVerified,
      servername: isIP(host) ? '' : host,
      ...(address.nodeName === undefined && { checkServerIdentity: () => undefined }),
    });
    await secured(socket, signal); // before the token leaves
    return startRequest({
      ...shared,
      createConnection: () => socket,
      headers: token === undefined ? headers : { ...headers, Authorization: `Bearer ${token}` },
    });
  }

  get #identity(): string {
    return this.#address.kind === 'secure'
      ? 'the token or certificate that this plugin shows'
      : 'a caller without a name';
  }
}

async function secured(socket: TLSSocket, signal: AbortSignal): Promise<void> {
  try {
    await once(socket, 'secureConnect', { signal });
  } catch (error) {
    socket.on('error', () => {}); // it is told once
    socket.destroy();
    throw error;
  }
}

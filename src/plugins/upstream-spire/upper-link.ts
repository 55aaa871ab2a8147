import { type ConfigureContext, SpiffeError, UpperServer, WorkloadIdentity } from '../../plugin-sdk/index.ts';
import type { UpstreamSpireConfig } from './config.ts';

/** For an agent that is starting too, or an entry that has not reached it. */
const IDENTITY_WAIT_MS = 30_000;

/** The way to the upper server: opened when first needed, since the agent that gives our identity may start after us. */
export class UpperLink implements Disposable {
  readonly #config: UpstreamSpireConfig;
  readonly #trustDomain: ConfigureContext['trustDomain'];
  readonly #stack = new DisposableStack();
  readonly #ended = new AbortController();
  #server: Promise<UpperServer> | undefined;

  constructor(config: UpstreamSpireConfig, trustDomain: ConfigureContext['trustDomain']) {
    this.#config = config;
    this.#trustDomain = trustDomain;
  }

  /** @throws SpiffeError `NO_IDENTITY`, saying what is missing */
  async server(): Promise<UpperServer> {
    this.#server ??= this.#open();
    try {
      return await this.#server;
    } catch (error) {
      this.#server = undefined; // the next call tries again
      throw error;
    }
  }

  /** Aborted when this is disposed of. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
    this.#stack.dispose();
  }

  async #open(): Promise<UpperServer> {
    const {
      server_address: address,
      server_port: serverPort,
      workload_api_socket: socketPath,
      experimental,
    } = this.#config;
    const identity = await WorkloadIdentity.open({ socketPath, waitMs: IDENTITY_WAIT_MS, signal: this.signal });
    if (this.#stack.disposed) {
      identity[Symbol.dispose]();
      throw new SpiffeError('CANCELLED', 'the plugin was configured anew');
    }
    this.#stack.use(identity);
    const { bundle, spiffeId } = identity.current;
    if (bundle.trustDomain !== this.#trustDomain) {
      throw new SpiffeError(
        'FAILED_PRECONDITION',
        `the agent gave the identity ${spiffeId}, which is not of the trust domain "${this.#trustDomain}" that servers above and below share`,
      );
    }
    return this.#stack.use(
      new UpperServer({
        address,
        port: serverPort,
        trustDomain: this.#trustDomain,
        requirePqKem: experimental.require_pq_kem,
        identity,
      }),
    );
  }
}

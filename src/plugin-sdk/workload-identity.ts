import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SpiffeWorkloadAPIDefinition, type X509SVIDResponse } from '../gen/workload/workload.ts';
import { RpcChannel } from '../rpc/channel.ts';
import { createClient } from '../rpc/client.ts';
import { WORKLOAD_METADATA } from '../rpc/workload-metadata.ts';
import { type Bundle, emptyBundle } from '../spiffe/bundle.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { parseSpiffeId, type SpiffeId, trustDomainOf } from '../spiffe/spiffe-id.ts';
import { validateX509Svid } from '../spiffe/x509-svid.ts';
import { splitCertificates } from '../x509/split-certificates.ts';

/** An X.509-SVID with what verifies others of its trust domain. */
export interface WorkloadX509Svid {
  readonly spiffeId: SpiffeId;
  /** DER, leaf first. */
  readonly certificates: readonly Uint8Array[];
  readonly privateKey: KeyObject;
  readonly bundle: Bundle;
}

export interface WorkloadIdentityOptions {
  /** Path of the Unix socket of the Workload API. */
  readonly socketPath: string;
  /** For the first SVID, which an entry may be on its way for. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const RETRY_MS = 1_000;
const CERTIFICATE = 'a certificate of the Workload API';

/** The default identity of this process, as an agent on the node gives and renews it. Disposing ends that. */
export class WorkloadIdentity implements Disposable {
  readonly #channel: RpcChannel;
  readonly #socketPath: string;
  readonly #ended = new AbortController();
  readonly #listeners = new Set<() => void>();
  #current: WorkloadX509Svid | undefined;
  #failure: unknown;

  private constructor(socketPath: string) {
    this.#socketPath = socketPath;
    this.#channel = RpcChannel.unix(socketPath, { maxMessageBytes: MAX_MESSAGE_BYTES });
  }

  /** @throws SpiffeError `NO_IDENTITY` where none came in time, with the last reason why */
  static async open({ socketPath, waitMs, signal }: WorkloadIdentityOptions): Promise<WorkloadIdentity> {
    const identity = new WorkloadIdentity(socketPath);
    void identity.#follow();
    try {
      await identity.#waitForFirst(AbortSignal.any([signal, AbortSignal.timeout(waitMs)]), waitMs);
      return identity;
    } catch (error) {
      identity[Symbol.dispose]();
      throw error;
    }
  }

  /** The newest, which has expired where the agent gave no other since. */
  get current(): WorkloadX509Svid {
    if (this.#current === undefined) throw new SpiffeError('NO_IDENTITY', 'there is no X.509-SVID yet');
    return this.#current;
  }

  /** Calls `listener` whenever there is another SVID or bundle. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
    this.#channel[Symbol.dispose]();
  }

  async #waitForFirst(given: AbortSignal, waitMs: number): Promise<void> {
    const first = Promise.withResolvers<void>();
    this.#listeners.add(first.resolve);
    const giveUp = () => first.reject(this.#explain(waitMs));
    given.addEventListener('abort', giveUp, { once: true });
    if (given.aborted) giveUp();
    try {
      if (this.#current === undefined) await first.promise;
    } finally {
      this.#listeners.delete(first.resolve);
      given.removeEventListener('abort', giveUp);
    }
  }

  #explain(waitMs: number): SpiffeError {
    const reason = this.#failure instanceof Error ? this.#failure.message : 'it does not answer';
    return new SpiffeError(
      'NO_IDENTITY',
      `the Workload API at "${this.#socketPath}" gave no X.509-SVID within ${waitMs / 1000} s: ${reason}; ` +
        'check that the agent runs, and that an entry is for this process',
      { cause: this.#failure },
    );
  }

  /** Asks again whenever the agent ends the stream, for as long as this is not disposed of. */
  async #follow(): Promise<void> {
    const { signal } = this.#ended;
    const api = createClient(SpiffeWorkloadAPIDefinition, this.#channel);
    while (!signal.aborted) {
      try {
        for await (const response of api.fetchX509SVID({}, { signal, metadata: WORKLOAD_METADATA }))
          this.#take(response);
      } catch (error) {
        this.#failure = error;
      }
      await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  }

  #take(response: X509SVIDResponse): void {
    this.#current = parseDefaultSvid(response);
    for (const listener of this.#listeners) listener();
  }
}

/** The first SVID of an answer, verified against the bundle that came with it. @throws SpiffeError */
function parseDefaultSvid({ svids: [svid] }: X509SVIDResponse): WorkloadX509Svid {
  if (svid === undefined) throw new SpiffeError('NO_IDENTITY', 'the answer of the agent has no X.509-SVID');
  const spiffeId = parseSpiffeId(svid.spiffeId);
  const certificates = splitCertificates(svid.x509Svid, CERTIFICATE);
  const x509Authorities = splitCertificates(svid.bundle, CERTIFICATE).map((certificate) => ({
    certificate,
    tainted: false,
  }));
  const bundle = { ...emptyBundle(trustDomainOf(spiffeId)), x509Authorities };
  const { spiffeId: proved, leaf } = validateX509Svid(certificates, bundle, new Date());
  if (proved !== spiffeId) throw new SpiffeError('SVID_INVALID', `the X.509-SVID of ${spiffeId} is one of ${proved}`);
  const privateKey = parseKey(svid.x509SvidKey);
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  if (Buffer.compare(publicKey, leaf.subjectPublicKeyInfo) !== 0) {
    throw new SpiffeError('SVID_INVALID', `the X.509-SVID of ${spiffeId}: the key is not the key of its certificate`);
  }
  return { spiffeId, certificates, privateKey, bundle };
}

function parseKey(der: Uint8Array): KeyObject {
  try {
    return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
  } catch {
    throw new SpiffeError('SVID_INVALID', 'the key of the X.509-SVID does not parse'); // OpenSSL's reason might tell of the key
  }
}

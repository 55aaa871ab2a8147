import type { Peer, UnixPeer } from '../../rpc/peer.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { Selector } from '../../spiffe/selector.ts';
import {
  type AttestWorkloadOptions,
  askAttestors,
  requireSame,
  requireWorkload,
  selectorsOf,
} from './attest-workload.ts';
import { SelectorLists } from './selector-lists.ts';

/** Longer than an attestation takes; whoever waits for one that is slow begins another beside it. */
const MAX_WAIT_MS = 10;

/**
 * Attests workloads. Calls of one process that come while it is being attested wait, and share the attestation that begins
 * then: after each of them has arrived. Processes are told apart by their numbers, which is enough: of two that have had the
 * same number one has ended, and is found out after the attestation, as if it had one of its own.
 */
export class SharedAttestations {
  readonly #options: AttestWorkloadOptions;
  readonly #lists = new SelectorLists();
  readonly #processes = new Map<number, ProcessAttestations>();

  constructor(options: AttestWorkloadOptions) {
    this.#options = options;
  }

  /** By an attestation that begins after this call. @throws SpiffeError as `attestWorkload`; `CANCELLED` once aborted */
  async attest(peer: Peer, signal: AbortSignal): Promise<readonly Selector[]> {
    requireWorkload(peer);
    const { pid } = peer;
    let process = this.#processes.get(pid);
    if (process === undefined) {
      process = new ProcessAttestations(pid, this.#options, () => this.#processes.delete(pid));
      this.#processes.set(pid, process);
    }
    return this.#lists.unique(await process.join(peer, signal));
  }
}

/** Of whoever has one process ID. */
class ProcessAttestations {
  readonly #pid: number;
  readonly #options: AttestWorkloadOptions;
  /** Nothing runs and nobody waits. */
  readonly #onIdle: () => void;
  #running = 0;
  /** The newest that runs. */
  #beganAt = Number.NEGATIVE_INFINITY;
  /** For calls that came since. */
  #next: Attestation | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(pid: number, options: AttestWorkloadOptions, onIdle: () => void) {
    this.#pid = pid;
    this.#options = options;
    this.#onIdle = onIdle;
  }

  join(peer: UnixPeer, signal: AbortSignal): Promise<readonly Selector[]> {
    if (this.#next === undefined || this.#next.isAbandoned) this.#next = new Attestation(this.#pid, this.#options);
    const selectors = this.#next.join(peer, signal);
    const waitMs = this.#running === 0 ? 0 : this.#beganAt + MAX_WAIT_MS - performance.now();
    if (waitMs <= 0) this.#begin();
    else this.#timer ??= setTimeout(() => this.#begin(), waitMs);
    return selectors;
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const attestation = this.#next;
    this.#next = undefined;
    if (attestation === undefined) return;
    this.#running += 1;
    this.#beganAt = performance.now();
    void attestation.run().then(() => {
      this.#running -= 1;
      this.#begin();
      if (this.#running === 0) this.#onIdle();
    });
  }
}

/** One attestation and the calls that it is for, by their connections. */
class Attestation {
  readonly #pid: number;
  readonly #options: AttestWorkloadOptions;
  readonly #results = new Map<UnixPeer, PromiseWithResolvers<readonly Selector[]>>();
  readonly #abort = new AbortController();
  #calls = 0;

  constructor(pid: number, options: AttestWorkloadOptions) {
    this.#pid = pid;
    this.#options = options;
  }

  /** All calls have left. */
  get isAbandoned(): boolean {
    return this.#abort.signal.aborted;
  }

  async join(peer: UnixPeer, signal: AbortSignal): Promise<readonly Selector[]> {
    const result = this.#resultOf(peer);
    this.#calls += 1;
    const left = Promise.withResolvers<never>();
    const leave = () => {
      this.#calls -= 1;
      if (this.#calls === 0) this.#abort.abort();
      left.reject(new SpiffeError('CANCELLED', 'the caller cancelled'));
    };
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    try {
      return await Promise.race([result.promise, left.promise]);
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  #resultOf(peer: UnixPeer): PromiseWithResolvers<readonly Selector[]> {
    const known = this.#results.get(peer);
    if (known !== undefined) return known;
    const result = Promise.withResolvers<readonly Selector[]>();
    result.promise.catch(() => {}); // whoever waits for it is told
    this.#results.set(peer, result);
    return result;
  }

  /** Settles all that wait; never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#abort;
    this.#refuseWhere((peer) => requireSame(peer));
    if (this.isAbandoned || this.#results.size === 0) return;
    const outcomes = await askAttestors(this.#pid, signal, this.#options.attestors);
    this.#refuseWhere((peer, resolve) => resolve(selectorsOf(peer, outcomes, signal, this.#options)));
  }

  #refuseWhere(work: (peer: UnixPeer, resolve: (selectors: readonly Selector[]) => void) => void): void {
    for (const [peer, { resolve, reject }] of this.#results) {
      try {
        work(peer, resolve);
      } catch (error) {
        this.#results.delete(peer);
        reject(error);
      }
    }
  }
}

import type { TrustBundleSource } from '../config/trust-bundle-source.ts';
import { type Bundle, sameBundle } from '../spiffe/bundle.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { readBundle } from './bundle-sources/read-bundle.ts';
import { followLost, type LostAuthority, withoutLost } from './lost-authorities.ts';
import type { AgentDataFile } from './storage/agent-data.ts';

/** The bundle of the agent's own trust domain: what its server is verified by. Stored with every change. */
export class TrustBundle {
  readonly #data: AgentDataFile;
  readonly #source: TrustBundleSource;
  #current: Bundle;
  /** False while the current one is only what the source says: a candidate. */
  #isKept: boolean;

  private constructor(data: AgentDataFile, source: TrustBundleSource, current: Bundle) {
    this.#data = data;
    this.#source = source;
    this.#current = current;
    this.#isKept = data.current.bundle === current;
  }

  /**
   * What was stored, or what the configuration names; empty with `insecure_bootstrap`.
   *
   * @throws SpiffeError as {@link readBundle}
   */
  static async open(
    data: AgentDataFile,
    source: TrustBundleSource,
    trustDomain: TrustDomain,
    signal: AbortSignal,
  ): Promise<TrustBundle> {
    return new TrustBundle(data, source, data.current.bundle ?? (await readBundle(source, trustDomain, signal)));
  }

  /** What the configuration names by now, whatever is current. @throws SpiffeError as {@link readBundle} */
  async readSource(signal: AbortSignal): Promise<Bundle> {
    return await readBundle(this.#source, this.#current.trustDomain, signal);
  }

  get current(): Bundle {
    return this.#current;
  }

  /** Without an authority nobody can be verified: the first contact has to be taken on trust. */
  get isEmpty(): boolean {
    return this.#current.x509Authorities.length === 0;
  }

  /**
   * Verifies by a bundle that is not stored before {@link replace} is told that it holds: a crash leaves the stored one. What
   * was tainted or revoked since does not come back with it.
   *
   * @throws SpiffeError `BUNDLE_INVALID` where nothing else is in it
   */
  consider(candidate: Bundle): void {
    this.#current = withoutLost(candidate, this.#current, this.#data.current.lost);
    this.#isKept = false;
  }

  /** Takes what the server says now. @returns whether anything changed. */
  async replace(bundle: Bundle): Promise<boolean> {
    const { current } = this;
    if (this.#isKept && bundle.sequenceNumber === current.sequenceNumber && sameBundle(bundle, current)) return false;
    const { lost } = this.#data.current;
    // Only from one state of a server to the next: with another server, that of before has revoked nothing.
    await this.#keep(bundle, this.#isKept ? followLost(lost, current, bundle, new Date()) : lost);
    return true;
  }

  /** Goes back to what was current before {@link consider}. */
  async restore(before: Bundle): Promise<void> {
    await this.#keep(before, this.#data.current.lost);
  }

  async #keep(bundle: Bundle, lost: readonly LostAuthority[]): Promise<void> {
    await this.#data.write({ bundle, lost });
    this.#current = bundle;
    this.#isKept = true;
  }
}

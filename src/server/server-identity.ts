import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Logger } from '../log/logger.ts';
import { type CallEnded, observed } from '../rpc/call-observer.ts';
import { serverId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { isTrustedX509Svid } from '../spiffe/trusted-svid.ts';
import { callMeter } from '../telemetry/call-metrics.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { RotationTimer } from '../time/rotation-timer.ts';
import type { BundleKeeper } from './bundle-keeper.ts';
import type { SvidIssuer } from './ca/svid-issuer.ts';

/** The server's own X.509-SVID and its key, which lives in memory and is new with every SVID. */
export interface X509Identity {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly privateKey: KeyObject;
  /** Unix seconds. */
  readonly expiresAt: number;
}

export interface ServerIdentityOptions {
  readonly issuer: SvidIssuer;
  readonly bundle: Pick<BundleKeeper, 'current' | 'subscribe'>;
  readonly trustDomain: TrustDomain;
  readonly ttlSeconds: number;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly clock: () => Date;
}

const RETRY_MS = 5_000;

/** Keeps the server's SVID fresh: a new one at half of its life, and once the authority that signed it is tainted or gone. */
export class ServerIdentity implements AsyncDisposable {
  readonly #options: ServerIdentityOptions;
  readonly #listeners = new Set<(identity: X509Identity) => void>();
  readonly #timer: RotationTimer;
  readonly #rotated: CallEnded;
  readonly #unsubscribe: () => void;
  #current: X509Identity;

  private constructor(options: ServerIdentityOptions, current: X509Identity) {
    this.#options = options;
    this.#current = current;
    const { log, clock, metrics } = options;
    this.#rotated = callMeter(metrics, ['svid', 'rotate']);
    this.#timer = new RotationTimer({ work: () => this.rotate(), log, clock, retryMs: RETRY_MS });
    this.#timer.start(this.#halfLife(current));
    this.#unsubscribe = options.bundle.subscribe(() => {
      if (!this.#isTrusted()) this.#timer.start(clock(), 0); // whoever connects meanwhile does not trust it
    });
  }

  static async open(options: ServerIdentityOptions): Promise<ServerIdentity> {
    return new ServerIdentity(options, await issue(options));
  }

  get current(): X509Identity {
    return this.#current;
  }

  subscribe(listener: (identity: X509Identity) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @returns when the next rotation is due. */
  async rotate(): Promise<Date> {
    this.#current = await observed(this.#rotated, () => issue(this.#options));
    for (const listener of this.#listeners) listener(this.#current);
    this.#options.log.debug('server X.509-SVID rotated', { expires_at: this.#current.expiresAt });
    // One that was being issued when its authority was tainted does not stay.
    return this.#isTrusted() ? this.#halfLife(this.#current) : new Date(this.#options.clock().getTime() + RETRY_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    await this.#timer[Symbol.asyncDispose]();
  }

  #isTrusted(): boolean {
    return isTrustedX509Svid(this.#current.chain, this.#options.bundle.current, this.#options.clock());
  }

  #halfLife({ expiresAt }: X509Identity): Date {
    const now = this.#options.clock().getTime();
    return new Date(now + (expiresAt * 1000 - now) / 2);
  }
}

async function issue({ issuer, trustDomain, ttlSeconds }: ServerIdentityOptions): Promise<X509Identity> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { chain, expiresAt } = await issuer.issueX509({
    spiffeId: serverId(trustDomain),
    publicKey: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
    dnsNames: [],
    ttlSeconds,
  });
  return { chain, privateKey, expiresAt };
}

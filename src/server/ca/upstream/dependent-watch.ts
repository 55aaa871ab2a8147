import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../../log/logger.ts';
import { messageOf } from '../../../spiffe/error.ts';
import type { AuthorityStates } from '../authority-line.ts';
import type { X509Record } from '../authority-records.ts';
import { isBelow } from '../x509-authorities.ts';
import type { UpstreamBundle } from './upstream-bundle.ts';

/** The CA that hangs on a PKI above. */
export interface Dependent {
  readonly x509Authorities: { readonly states: AuthorityStates<X509Record>; prepare(): Promise<unknown> };
  /** Has another CA signed, which signs at once. */
  replaceX509(): Promise<void>;
}

export interface DependentWatchOptions {
  readonly dependent: Dependent;
  readonly bundle: UpstreamBundle;
  readonly log: Logger;
  readonly clock: () => Date;
  readonly signal: AbortSignal;
}

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/**
 * Looks whether the CA of the server still hangs on a root that the PKI above trusts. Where it does not, another one is
 * signed; only then the bundle says which roots are tainted. Inventory B002.
 */
export class DependentWatch {
  readonly #options: DependentWatchOptions;
  #running: Promise<void> | undefined;
  #isAsked = false;
  #isReplacing = false;

  constructor(options: DependentWatchOptions) {
    this.#options = options;
  }

  /** Whether a CA is being signed in place of one that hangs on nothing good. */
  get isReplacing(): boolean {
    return this.#isReplacing;
  }

  /** Settles when nothing is under way. */
  get ended(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  /** Looks soon; what fails is tried again until it is done. */
  look(): void {
    this.#isAsked = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async #run(): Promise<void> {
    const { signal, log } = this.#options;
    let retryMs = FIRST_RETRY_MS;
    while (this.#isAsked && !signal.aborted) {
      this.#isAsked = false;
      try {
        await this.#settle();
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        if (signal.aborted) return;
        const reason = messageOf(error);
        log.error(
          'the CA hangs on a root that the upstream authority does not trust, and could not be replaced: trying again',
          {
            error: reason,
          },
        );
        this.#isAsked = true;
        await sleep(retryMs, undefined, { signal }).catch(() => {});
        retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
      }
    }
  }

  async #settle(): Promise<void> {
    const { dependent, bundle, log } = this.#options;
    const { active, prepared } = dependent.x509Authorities.states;
    if (!this.#isGood(active)) {
      log.info('the CA hangs on a root that the upstream authority does not trust: replacing it', {
        authority_id: active.authorityId,
      });
      await this.#replacing(() => dependent.replaceX509());
    } else if (prepared !== undefined && !this.#isGood(prepared)) {
      await this.#replacing(() => dependent.x509Authorities.prepare());
    }
    await bundle.taintRoots();
  }

  /** One that signed itself is from before there was a PKI above. */
  #isGood({ chain, upstreamAuthorityId }: X509Record): boolean {
    if (upstreamAuthorityId === '') return false;
    const { roots } = this.#options.bundle;
    const trusted = roots?.filter(({ tainted }) => !tainted);
    return trusted === undefined || isBelow(trusted, chain, this.#options.clock());
  }

  async #replacing(work: () => Promise<unknown>): Promise<void> {
    this.#isReplacing = true;
    try {
      await work();
    } finally {
      this.#isReplacing = false;
    }
  }
}

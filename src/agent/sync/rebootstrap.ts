import type { Logger } from '../../log/logger.ts';
import { messageOf } from '../../spiffe/error.ts';
import type { NodeEvidence } from '../attestation/node-evidence.ts';
import { isVerdict } from '../server-api/refusal.ts';
import type { TrustBundle } from '../trust-bundle.ts';

/** Source: inventory C081, C082. */
export interface RebootstrapSettings {
  /** `auto`: where the node can attest again; `always`: even where the agent has to be given a new join token then. */
  readonly mode: 'never' | 'auto' | 'always';
  readonly delaySeconds: number;
}

export interface RebootstrapOptions {
  readonly settings: RebootstrapSettings;
  readonly trust: TrustBundle;
  readonly evidence: NodeEvidence;
  readonly log: Logger;
  readonly clock: () => Date;
  /** Milliseconds of a clock that nobody sets. */
  readonly elapsed?: () => number;
}

/** What came of it: `refusedBy` is what the new server, which was verified, said of this node. */
export type RebootstrapOutcome = 'joined' | 'not now' | { readonly refusedBy: unknown };

/** How long to wait for the next attempt at most while the server is not verified. */
export const WAITING_RETRY_MS = 20_000;
/** Whoever was not seen for so long may have been the server that is known: what counts is a delay without a gap. */
const MAX_GAP_MS = 60_000;

/** Whether the bundle is taken from its source again where a server shows what it does not verify. Inventory B008. */
export class Rebootstrap {
  readonly #options: RebootstrapOptions;
  readonly #elapsed: () => number;
  #untrusted: { readonly since: Date; readonly beganAt: number; readonly seenAt: number } | undefined;
  #isToldWhyNot = false;

  constructor(options: RebootstrapOptions) {
    this.#options = options;
    this.#elapsed = options.elapsed ?? (() => performance.now());
  }

  /** The server could not be verified the last time, and that may lead to another bundle. */
  get isWaiting(): boolean {
    return this.#untrusted !== undefined;
  }

  /** The server is the one that is known, whatever it answered. */
  verified(): void {
    this.#untrusted = undefined;
    this.#isToldWhyNot = false;
  }

  /**
   * To be called for each time that the server could not be verified. Once that has lasted for the delay, without a gap of a
   * minute, the source's bundle takes the place of the stored one, for as long as it is needed to join; where that fails, the
   * stored one is back.
   */
  async attempt(reattestable: boolean, signal: AbortSignal, rejoin: () => Promise<void>): Promise<RebootstrapOutcome> {
    const { settings, trust, evidence, log, clock } = this.#options;
    const { mode, delaySeconds } = settings;
    if (mode === 'never') return 'not now';
    const now = this.#elapsed();
    const last = this.#untrusted;
    const isGap = last === undefined || now - last.seenAt > MAX_GAP_MS;
    const untrusted = isGap ? { since: clock(), beganAt: now, seenAt: now } : { ...last, seenAt: now };
    this.#untrusted = untrusted;
    if (now - untrusted.beganAt < delaySeconds * 1000) return 'not now';
    if (mode === 'auto' && !(reattestable && evidence.isAvailable)) {
      if (!this.#isToldWhyNot) {
        log.error(
          'the server is not verified by the trust bundle, and the node cannot attest again: set rebootstrap_mode to "always", or start the agent with a new data_dir',
        );
      }
      this.#isToldWhyNot = true;
      return 'not now';
    }
    const before = trust.current;
    const since = untrusted.since.toISOString();
    log.warning('the server has not been verified by the trust bundle for long: the agent bootstraps anew', { since });
    try {
      trust.consider(await trust.readSource(signal));
      await rejoin();
    } catch (error) {
      if (isVerdict(error)) return { refusedBy: error };
      await trust.restore(before);
      this.#untrusted = { ...untrusted, seenAt: this.#elapsed() };
      log.warning('the agent could not bootstrap anew', {
        reason: messageOf(error),
      });
      return 'not now';
    }
    this.verified();
    return 'joined';
  }
}

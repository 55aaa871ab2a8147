import { readlinkSync } from 'node:fs';
import type { Logger } from '../../log/logger.ts';
import type { CallContext, Interceptor } from '../../rpc/call.ts';
import type { UnixPeer } from '../../rpc/peer.ts';
import { isSpiffeError } from '../../spiffe/error.ts';
import { RecentMap } from '../../spiffe/recent-map.ts';
import { NoIdentityError } from '../workload-api/workload-views.ts';
import { type AttestorOutcome, loggedForm } from '../workloads/attest-workload.ts';
import { HinderedError } from '../workloads/svid-hindrance.ts';
import { findCauses } from './find-causes.ts';
import type { ShowSelector } from './finding.ts';
import type { RefusedCalls } from './refused-calls.ts';
import type { WorkloadExplainer } from './workload-explainer.ts';

export interface LogRefusalsOptions {
  readonly explainer: Pick<WorkloadExplainer, 'explainOutcomes'>;
  readonly refused: RefusedCalls;
  readonly logSelectors: readonly string[];
  readonly log: Logger;
  readonly clock: () => Date;
}

/** The same program of the same user is told of once in so long, and of all together no more than so many. */
const AGAIN_AFTER_MS = 60_000;
const MOST_A_MINUTE = 30;
const MAX_PROGRAMS = 1_000;
const MAX_CAUSES = 3;

/** Says in the log why a workload got nothing: one line, and not for every attempt of a workload that goes on trying. */
export class LogRefusals implements Interceptor {
  readonly #options: LogRefusalsOptions;
  readonly #outcomes = new WeakMap<UnixPeer, readonly AttestorOutcome[]>();
  /** By user and program. */
  readonly #toldAt = new RecentMap<string, number>(MAX_PROGRAMS);
  readonly #abort = new AbortController();
  #minuteBegan = 0;
  #toldInMinute = 0;
  #suppressed = 0;

  constructor(options: LogRefusalsOptions) {
    this.#options = options;
  }

  /** What attestation found of a caller, the last time. */
  found(peer: UnixPeer, outcomes: readonly AttestorOutcome[]): void {
    this.#outcomes.set(peer, outcomes);
  }

  after({ peer, method }: CallContext, error: unknown): void {
    if (peer.kind !== 'unix') return;
    if (!isWithoutIdentity(error)) return;
    const { refused, log, clock } = this.#options;
    const wanted = error instanceof NoIdentityError ? error.wanted : undefined;
    refused.record(peer, { method, at: clock(), wanted });
    const path = pathOf(peer);
    const outcomes = this.#outcomes.get(peer) ?? [];
    if (!this.#mayTell(`${peer.uid} ${path}`)) return;
    this.#tell(peer, outcomes, path, method).catch((reason: unknown) => {
      const { pid } = peer;
      log.debug('why a workload got no identity cannot be told', { pid, reason: String(reason) });
    });
  }

  [Symbol.dispose](): void {
    this.#abort.abort();
  }

  async #tell(
    peer: UnixPeer,
    outcomes: readonly AttestorOutcome[],
    path: string | undefined,
    method: string,
  ): Promise<void> {
    const { explainer, logSelectors, log } = this.#options;
    const { signal } = this.#abort;
    const facts = await explainer.explainOutcomes(peer, outcomes, { wanted: undefined, path, isAdministrator: false });
    if (signal.aborted) return;
    const show: ShowSelector = (selector) =>
      loggedForm(selector, logSelectors) ?? `a selector of type ${selector.type}`;
    const causes = findCauses(facts, show).slice(0, MAX_CAUSES);
    log.warning('a workload got no identity', {
      pid: peer.pid,
      uid: peer.uid,
      path,
      method,
      codes: causes.map(({ code }) => code).join(' '),
      reason: causes.map(({ text }) => text).join(' '),
      suppressed: this.#suppressed === 0 ? undefined : this.#suppressed,
    });
    this.#suppressed = 0;
  }

  #mayTell(program: string): boolean {
    const now = performance.now();
    if (now - this.#minuteBegan >= 60_000) {
      this.#minuteBegan = now;
      this.#toldInMinute = 0;
    }
    const last = this.#toldAt.get(program);
    const isAgain = last !== undefined && now - last < AGAIN_AFTER_MS;
    if (isAgain || this.#toldInMinute >= MOST_A_MINUTE) {
      this.#suppressed += 1;
      return false;
    }
    this.#toldInMinute += 1;
    this.#toldAt.set(program, now);
    return true;
  }
}

function isWithoutIdentity(error: unknown): boolean {
  return (
    error instanceof HinderedError || isSpiffeError(error, 'NO_IDENTITY') || isSpiffeError(error, 'WORKLOAD_UNREADABLE')
  );
}

/** Where it can be read, and only while it is that process. */
function pathOf(peer: UnixPeer): string | undefined {
  try {
    const path = readlinkSync(`/proc/${peer.pid}/exe`);
    return peer.isAlive() ? path : undefined;
  } catch {
    return undefined;
  }
}

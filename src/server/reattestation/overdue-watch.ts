import type { AgentRepository } from '../../datastore/agent-repository.ts';
import type { VerdictRepository } from '../../datastore/verdict-repository.ts';
import { RotationTimer } from '../../time/rotation-timer.ts';
import { applyVerdict, type VerdictOptions } from './apply-verdict.ts';
import type { Reattestation } from './reattestation-settings.ts';
import type { VerdictHistory } from './verdict-history.ts';

export interface OverdueWatchOptions extends VerdictOptions {
  readonly agents: AgentRepository;
  readonly verdicts: Pick<VerdictRepository, 'overdue'>;
  readonly history: VerdictHistory;
  readonly settings: Pick<Reattestation, 'all'>;
  /** Whether this server is the one that looks. */
  readonly leads: () => boolean;
  readonly clock: () => Date;
}

const LOOK_MS = 10_000;
/** Beyond three intervals: a round may take two minutes, and a node a while to start anew. */
const PATIENCE_MS = 180_000;
/** For so long an agent is silent that was told that nobody asks. */
const NOT_ASKED_MS = 300_000;
const AT_ONCE = 200;

/**
 * Takes from agents what they do not prove any longer because they are silent: whoever has taken over a node would have it say
 * nothing. Agents that never showed evidence between renewals, such as SPIRE's, are left alone. None is banned for its silence: its
 * node may be switched off.
 */
export class OverdueWatch implements AsyncDisposable {
  readonly #options: OverdueWatchOptions;
  readonly #startedAtMs = performance.now();
  readonly #timer: RotationTimer;
  /** Since when, by the time that this server is up, agents have been asked so often. */
  readonly #asked = new Map<string, { readonly intervalMs: number; readonly sinceMs: number }>();

  private constructor(options: OverdueWatchOptions) {
    const { log, clock } = options;
    this.#options = options;
    const due = () => new Date(clock().getTime() + LOOK_MS);
    this.#timer = new RotationTimer({ work: () => this.look().then(due), log, clock, retryMs: LOOK_MS });
    for (const [attestor, { intervalMs }] of options.settings.all) {
      this.#asked.set(attestor, { intervalMs, sinceMs: 0 });
    }
    this.#timer.start(due());
  }

  static start(options: OverdueWatchOptions): OverdueWatch {
    return new OverdueWatch(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#timer[Symbol.asyncDispose]();
  }

  /** While this server was away, agents had nobody to show evidence to. @param upMs for how long it has been there */
  async look(upMs = performance.now() - this.#startedAtMs): Promise<void> {
    const { settings, agents, verdicts, history, leads, clock } = this.#options;
    if (!leads()) return;
    const all = settings.all;
    for (const attestor of this.#asked.keys()) if (!all.has(attestor)) this.#asked.delete(attestor);
    for (const [attestor, { intervalMs, onChange }] of all) {
      const silenceMs = 3 * intervalMs + PATIENCE_MS;
      if (upMs - this.#askedSince(attestor, intervalMs, upMs) < silenceMs) continue;
      const before = Math.floor((clock().getTime() - silenceMs) / 1000);
      for (const agentId of await verdicts.overdue(attestor, before, AT_ONCE)) {
        const agent = await agents.find(agentId);
        if (agent === undefined || agent.banned) continue;
        const reason = `it has shown no evidence for ${Math.round(silenceMs / 1000)} s`;
        const action = onChange === 'ban' ? 'selectors' : onChange;
        await applyVerdict(agent, { isProven: false, reason }, action, undefined, this.#options);
        await history.record({ agentId, attestor, verdict: 'overdue', reason, selectors: [], evidenceSha256: '' });
      }
    }
  }

  /** Whoever was not asked, or less often, has not been silent for that. */
  #askedSince(attestor: string, intervalMs: number, upMs: number): number {
    const known = this.#asked.get(attestor);
    if (known?.intervalMs === intervalMs) return known.sinceMs;
    const sinceMs = known === undefined ? upMs + NOT_ASKED_MS : upMs;
    this.#asked.set(attestor, { intervalMs, sinceMs });
    return sinceMs;
  }
}

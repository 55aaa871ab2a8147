import type { VerdictKind, VerdictRepository } from '../../datastore/verdict-repository.ts';
import type { Logger } from '../../log/logger.ts';
import { messageOf } from '../../spiffe/error.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { VerdictWebhooks } from './verdict-webhooks.ts';

export interface VerdictHistoryOptions {
  readonly verdicts: Pick<VerdictRepository, 'record'>;
  readonly webhooks: Pick<VerdictWebhooks, 'tell'>;
  readonly log: Logger;
  readonly clock: () => Date;
}

export interface NewVerdict {
  readonly agentId: SpiffeId;
  readonly attestor: string;
  readonly verdict: 'attested' | 'held' | 'changed' | 'lost' | 'overdue';
  readonly reason?: string;
  readonly selectors: readonly Selector[];
  readonly evidenceSha256: string;
}

/** What is as before is written no more often; how often it was is not lost. */
const WRITE_MS = 10_000;
const MAX_REASON_CHARACTERS = 1000;
const MAX_UNWRITTEN = 100_000;

interface Unwritten {
  readonly kind: string;
  readonly writtenAtMs: number;
  readonly count: number;
  readonly firstAt: number;
}

/** Keeps what the evidence of each agent came to. */
export class VerdictHistory {
  readonly #options: VerdictHistoryOptions;
  readonly #unwritten = new Map<SpiffeId, Unwritten>();

  constructor(options: VerdictHistoryOptions) {
    this.#options = options;
  }

  /** Never fails: what cannot be kept is in the log. */
  async record({ agentId, attestor, verdict, reason = '', selectors, evidenceSha256 }: NewVerdict): Promise<void> {
    const { verdicts, webhooks, log, clock } = this.#options;
    const policies = selectors.map(({ value }) => value).filter((value) => /^policy(_version)?:/.test(value));
    const kind: VerdictKind = {
      agentId,
      verdict,
      reason: reason.slice(0, MAX_REASON_CHARACTERS).toWellFormed(),
      policies,
    };
    const at = Math.floor(clock().getTime() / 1000);
    const last = this.#unwritten.get(agentId);
    const key = JSON.stringify(kind);
    const isAlike = last?.kind === key;
    const { count, firstAt } = isAlike && last.count > 0 ? last : { count: 0, firstAt: at };
    if (isAlike && performance.now() - last.writtenAtMs < WRITE_MS) {
      this.#unwritten.set(agentId, { ...last, count: count + 1, firstAt });
      return;
    }
    this.#unwritten.delete(agentId);
    if (this.#unwritten.size < MAX_UNWRITTEN) {
      this.#unwritten.set(agentId, { kind: key, writtenAtMs: performance.now(), count: 0, firstAt: at });
    }
    try {
      const times = { count: count + 1, firstAt, lastAt: at };
      const { isChange, before } = await verdicts.record({ ...kind, evidenceSha256, ...times });
      if (isChange) webhooks.tell({ ...kind, attestor, before, evidenceSha256, at });
    } catch (error) {
      log.warning('a verdict on an agent was not kept', { agent_id: agentId, verdict, error: messageOf(error) });
    }
  }
}

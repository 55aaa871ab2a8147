import type { VerdictKind } from '../../datastore/verdict-repository.ts';
import type { Logger } from '../../log/logger.ts';
import { backoffMs } from '../../rpc/backoff.ts';
import { sleep } from '../../rpc/sleep.ts';
import { messageOf } from '../../spiffe/error.ts';
import type { Reattestation } from './reattestation-settings.ts';

/** A verdict on an agent that is another than the one before. */
export interface VerdictNews extends VerdictKind {
  readonly attestor: string;
  /** Undefined for the first one. */
  readonly before: Pick<VerdictKind, 'verdict' | 'policies'> | undefined;
  readonly evidenceSha256: string;
  /** Unix seconds. */
  readonly at: number;
}

export interface VerdictWebhooksOptions {
  readonly settings: Pick<Reattestation, 'find'>;
  readonly log: Logger;
  /** How long to wait after so many failures in a row, in milliseconds: a second, doubling, by default. */
  readonly pauseMs?: (failures: number) => number;
}

const MAX_WAITING = 1_000;
const TRIES = 5;
const ANSWER_MS = 10_000;

/** Tells a web server of the operator's of each change of verdict, in their order: JSON in a POST, tried five times. */
export class VerdictWebhooks implements AsyncDisposable {
  readonly #options: VerdictWebhooksOptions;
  readonly #waiting: VerdictNews[] = [];
  readonly #ending = new AbortController();
  #sending: Promise<void> | undefined;

  constructor(options: VerdictWebhooksOptions) {
    this.#options = options;
  }

  tell(news: VerdictNews): void {
    if (this.#ending.signal.aborted || this.#urlFor(news) === undefined || !isWorthTelling(news)) return;
    const oldest = this.#waiting.length === MAX_WAITING ? this.#waiting.shift() : undefined;
    if (oldest !== undefined) this.#giveUp(oldest, 'too many wait behind it');
    this.#waiting.push(news);
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  /** Does not wait for a web server that takes its time. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#sending;
  }

  async #sendAll(): Promise<void> {
    for (let news = this.#waiting.shift(); news !== undefined; news = this.#waiting.shift()) {
      const failure = await this.#trySending(news);
      if (failure !== undefined) this.#giveUp(news, failure);
    }
  }

  /** @returns why it could not be sent. */
  async #trySending(news: VerdictNews): Promise<string | undefined> {
    const { pauseMs = backoffMs } = this.#options;
    const { signal } = this.#ending;
    for (let failures = 1; ; failures++) {
      try {
        const url = this.#urlFor(news);
        if (url === undefined) return 'it is not configured any longer';
        await send(url, news, signal);
        return undefined;
      } catch (error) {
        if (signal.aborted) return 'the server ends';
        if (failures === TRIES) return messageOf(error);
        await sleep(pauseMs(failures), signal);
      }
    }
  }

  #urlFor({ attestor }: VerdictNews): string | undefined {
    return this.#options.settings.find(attestor)?.webhook;
  }

  /** The URL may hold a secret, and is not logged. */
  #giveUp({ agentId, attestor, verdict }: VerdictNews, reason: string): void {
    this.#options.log.error('a change of verdict could not be told to "verdict_webhook"', {
      agent_id: agentId,
      attestor,
      verdict,
      reason,
    });
  }
}

const BAD: ReadonlySet<string> = new Set(['lost', 'overdue']);

/** Not that an agent has attested once more and is what it was. */
function isWorthTelling({ verdict, policies, before }: VerdictNews): boolean {
  if (BAD.has(verdict) || verdict === 'changed') return true;
  return before !== undefined && (BAD.has(before.verdict) || before.policies.join() !== policies.join());
}

async function send(url: string, news: VerdictNews, ending: AbortSignal): Promise<void> {
  const { agentId, attestor, verdict, reason, policies, before, evidenceSha256, at } = news;
  const response = await fetch(url, {
    method: 'POST',
    redirect: 'error',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      agent_id: agentId,
      attestor,
      verdict,
      before: before?.verdict ?? null,
      reason,
      policies,
      evidence_sha256: evidenceSha256,
      at: new Date(at * 1000).toISOString(),
    }),
    signal: AbortSignal.any([ending, AbortSignal.timeout(ANSWER_MS)]),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the web server answered ${response.status}`);
}

import type { Logger } from '../../log/logger.ts';
import { backoffMs } from '../../rpc/backoff.ts';
import { sleep } from '../../rpc/sleep.ts';
import { RemoteError } from '../../rpc/status.ts';
import { messageOf } from '../../spiffe/error.ts';
import { Status } from '../../spiffe/status.ts';
import { refusalOf } from '../server-api/refusal.ts';
import type { ServerClients, ServerConnection } from '../server-api/server-connection.ts';
import type { ServerNews } from './told-changes.ts';

export interface ServerWatchOptions {
  readonly connection: Pick<ServerConnection, 'run'>;
  /** Something has changed for this agent, or may have: it is to sync now. */
  readonly onChange: (news: ServerNews) => void;
  /** The server tells of changes no longer: they have to be asked for again. */
  readonly onLost: () => void;
  readonly log: Logger;
}

const ANYTHING: ServerNews = { entryIds: undefined };
/** A server that has no such service may be replaced by one that has. */
const ASK_AGAIN_MS = 300_000;
/** For the first answer, and afterwards twice what the server promises, within these bounds. */
const FIRST_ANSWER_MS = 30_000;
const LONGEST_SILENCE_MS = 600_000;
const SHORTEST_SILENCE_MS = 5_000;

/**
 * Keeps a stream open on which the server tells of changes, where it can: SPIRE's cannot, and is asked as before. Over the
 * connection of the moment, so that a sync after the news is answered by the server that told them.
 */
export class ServerWatch implements AsyncDisposable {
  readonly #options: ServerWatchOptions;
  readonly #abort = new AbortController();
  #isWatching = false;
  #failures = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(options: ServerWatchOptions) {
    this.#options = options;
  }

  /** To be called once there is an identity to show. */
  start(): void {
    this.#running = this.#run();
  }

  /** Whether the server would tell of a change now. */
  get isWatching(): boolean {
    return this.#isWatching;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    const { log } = this.#options;
    while (!signal.aborted) {
      const pauseMs = await this.#watch().catch((error: unknown) => {
        if (signal.aborted) return 0;
        if (error instanceof RemoteError && error.status === Status.Unimplemented) {
          log.debug('the server does not tell of changes: it is asked for them');
          return ASK_AGAIN_MS;
        }
        this.#failures += 1;
        const reason = messageOf(error);
        if (refusalOf(error) !== undefined) this.#options.onChange(ANYTHING); // a sync is told the same, and does what follows
        log.debug('the server tells of changes no longer', { reason });
        return spread(backoffMs(this.#failures));
      });
      this.#lose();
      await sleep(pauseMs, signal);
    }
  }

  /** @returns how long to wait before the next attempt. */
  async #watch(): Promise<number> {
    const stopped = this.#abort.signal;
    return await this.#options.connection.run(async ({ watch }: Pick<ServerClients, 'watch'>, retired) => {
      const signal = AbortSignal.any([stopped, retired]);
      const silence = new Silence(FIRST_ANSWER_MS);
      try {
        await using call = watch.watchChanges({}, { signal: AbortSignal.any([signal, silence.signal]) });
        for await (const { sequence, entries, bundles, entryIds, heartbeatSeconds } of call) {
          silence.broken(2 * heartbeatSeconds * 1000);
          this.#failures = 0;
          this.#isWatching = true;
          if (bundles || sequence === 1n) this.#options.onChange(ANYTHING);
          else if (entries) this.#options.onChange({ entryIds: entryIds.length === 0 ? undefined : entryIds });
        }
        return spread(backoffMs(1)); // a server that ends it without a reason
      } catch (error) {
        if (signal.aborted) return 0; // the next attempt is made over the connection that has taken this one's place
        if (silence.signal.aborted) throw silence.signal.reason;
        throw error;
      } finally {
        silence.end();
      }
    });
  }

  #lose(): void {
    if (!this.#isWatching) return;
    this.#isWatching = false;
    if (!this.#abort.signal.aborted) this.#options.onLost();
  }
}

/** A stream on which nothing comes has ended, whatever the connection says. */
class Silence {
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMs: number) {
    this.broken(limitMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something came; the next has to within `limitMs`. */
  broken(limitMs: number): void {
    clearTimeout(this.#timer);
    const ms = Math.min(Math.max(limitMs, SHORTEST_SILENCE_MS), LONGEST_SILENCE_MS);
    this.#timer = setTimeout(() => this.#controller.abort(new Error(`nothing came for ${ms} ms`)), ms);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

/** Anything from a quarter to all of it: the agents of a server that restarts come back one after the other. */
function spread(milliseconds: number): number {
  return milliseconds * (0.25 + Math.random() * 0.75);
}

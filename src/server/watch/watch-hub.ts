import type { AgentRepository } from '../../datastore/agent-repository.ts';
import type { AttestedAgent } from '../../datastore/agent-rows.ts';
import type { Logger } from '../../log/logger.ts';
import type { TlsPeer } from '../../rpc/peer.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { containsAllSelectors, formatSelector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { requireAgent } from '../authorization/agent-caller.ts';
import type { CachedEntry } from '../cached-entry.ts';
import type { Holders } from '../entry-cache.ts';
import { bothOf, type Changes, Watcher } from './watcher.ts';

export interface WatchHubOptions {
  readonly agents: AgentRepository;
  readonly clock: () => Date;
  readonly log: Logger;
}

/** What to tell each of the {@link Holders}. */
export interface News {
  readonly agents: ReadonlyMap<SpiffeId, Changes>;
  readonly aliases: ReadonlyMap<CachedEntry, Changes>;
}

/** Whoever was not looked at for so long is, and gets a sign of life. */
export const HEARTBEAT_SECONDS = 30;
/** A change that concerns more agents than this reaches the others a moment later: they all call the server back. */
const AT_ONCE = 64;
const PAUSE_MS = 20;

/** The agents that have a stream open to this server. Knows whom a change concerns, and who may watch no longer. */
export class WatchHub implements AsyncDisposable {
  readonly #options: WatchHubOptions;
  readonly #watchers = new Map<SpiffeId, Watcher>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isStopping = false;

  constructor(options: WatchHubOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#watchers.size;
  }

  find(agent: SpiffeId): Watcher | undefined {
    return this.#watchers.get(agent);
  }

  get all(): readonly Watcher[] {
    return [...this.#watchers.values()];
  }

  /** An agent has one stream: the one that it had is ended. */
  add(agent: AttestedAgent, peer: TlsPeer): Watcher {
    if (this.#isStopping) throw stopping();
    this.#watchers
      .get(agent.spiffeId)
      ?.end(new SpiffeError('REPLACED', `agent "${agent.spiffeId}" has begun to watch anew on another stream`));
    const watcher = new Watcher(agent, peer, this.#options.clock());
    this.#watchers.set(agent.spiffeId, watcher);
    return watcher;
  }

  remove(watcher: Watcher): void {
    const { spiffeId } = watcher.agent;
    if (this.#watchers.get(spiffeId) === watcher) this.#watchers.delete(spiffeId);
  }

  tellHolders({ agents, aliases }: Holders, changes: Changes): void {
    const toAll = <Holder>(holders: ReadonlySet<Holder>) => new Map([...holders].map((holder) => [holder, changes]));
    this.tellEach({ agents: toAll(agents), aliases: toAll(aliases) });
  }

  /** Tells agents, and those with all selectors of an alias, what is for them. */
  tellEach({ agents, aliases }: News): void {
    const told = new Map([...agents].flatMap(([id, changes]) => withFound(this.#watchers.get(id), changes)));
    if (aliases.size > 0) {
      for (const watcher of this.#watchers.values()) {
        const { selectors } = watcher.agent;
        for (const [alias, changes] of aliases) {
          if (!containsAllSelectors(selectors, alias.selectors)) continue;
          const before = told.get(watcher);
          told.set(watcher, before === undefined ? changes : bothOf(before, changes));
        }
      }
    }
    this.#tell([...told]);
  }

  tellAll(changes: Changes): void {
    this.#tell(this.all.map((watcher) => [watcher, changes] as const));
  }

  /**
   * Looks at the agents again, all or those that are named: who was banned, evicted, renewed elsewhere or has expired is
   * told so and let go; whose selectors have changed is told to sync.
   */
  async review(agents?: Iterable<string>): Promise<void> {
    const watchers = agents === undefined ? this.all : [...agents].flatMap((id) => this.find(id as SpiffeId) ?? []);
    for (const watcher of watchers) await this.#review(watcher);
  }

  /** Reviews those who were not for a while, and gives those who stay a sign of life. */
  async beat(): Promise<void> {
    const longAgo = performance.now() - (HEARTBEAT_SECONDS - 1) * 1000;
    for (const watcher of this.all.filter(({ reviewedAtMs }) => reviewedAtMs <= longAgo)) {
      await this.#review(watcher);
      watcher.beat();
    }
  }

  /** Ends every stream. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    for (const watcher of this.#watchers.values()) watcher.end(stopping());
  }

  async #review(watcher: Watcher): Promise<void> {
    if (watcher.hasEnded) return;
    watcher.reviewedAtMs = performance.now();
    const { agents, clock, log } = this.#options;
    try {
      const before = watcher.agent;
      watcher.agent = await requireAgent(watcher.peer, agents, clock());
      if (selectorsOf(before) !== selectorsOf(watcher.agent)) watcher.tell({ entries: true, bundles: false });
    } catch (error) {
      // Also where the datastore does not answer: whoever is in doubt watches no longer, and comes back.
      if (!(error instanceof SpiffeError)) {
        log.warning('an agent could not be looked at', { agent_id: watcher.agent.spiffeId, reason: String(error) });
      }
      watcher.end(error);
    }
  }

  #tell(news: readonly (readonly [Watcher, Changes])[]): void {
    for (const [watcher, changes] of news.slice(0, AT_ONCE)) watcher.tell(changes);
    const later = news.slice(AT_ONCE);
    if (later.length === 0) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#tell(later);
    }, PAUSE_MS);
    this.#timers.add(timer);
  }
}

function withFound(watcher: Watcher | undefined, changes: Changes): readonly (readonly [Watcher, Changes])[] {
  return watcher === undefined ? [] : [[watcher, changes]];
}

function selectorsOf({ selectors }: AttestedAgent): string {
  return JSON.stringify(selectors.map(formatSelector).toSorted());
}

function stopping(): SpiffeError {
  return new SpiffeError('SERVER_UNREACHABLE', 'the server is stopping');
}

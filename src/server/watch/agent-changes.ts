import type { AgentRepository } from '../../datastore/agent-repository.ts';
import { SharedRun } from '../shared-run.ts';
import type { WatchHub } from './watch-hub.ts';

const EVENTS_A_STEP = 1000;

/** Has the hub review the agents that anybody changed: follows the datastore's event log. */
export class AgentChanges {
  readonly #agents: AgentRepository;
  readonly #hub: WatchHub;
  readonly #following = new SharedRun(() => this.#follow());
  #sequence: number;

  private constructor(agents: AgentRepository, hub: WatchHub, sequence: number) {
    this.#agents = agents;
    this.#hub = hub;
    this.#sequence = sequence;
  }

  static async open(agents: AgentRepository, hub: WatchHub): Promise<AgentChanges> {
    return new AgentChanges(agents, hub, await agents.latestEvent());
  }

  /** Catches up. Calls made meanwhile see what was stored before they were made. */
  refresh(): Promise<void> {
    return this.#following.run();
  }

  async #follow(): Promise<void> {
    for (;;) {
      const { events, missed } = await this.#agents.eventsAfter(this.#sequence, EVENTS_A_STEP);
      if (missed) {
        this.#sequence = await this.#agents.latestEvent();
        return await this.#hub.review();
      }
      const last = events.at(-1);
      if (last === undefined) return;
      this.#sequence = last.sequence;
      await this.#hub.review(new Set(events.map(({ key }) => key)));
      if (events.length < EVENTS_A_STEP) return; // what came meanwhile has a run of its own
    }
  }
}

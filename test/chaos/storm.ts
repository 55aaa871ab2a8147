import { setTimeout as wait } from 'node:timers/promises';
import { inData } from '../e2e/deployment.ts';
import type { Authorities } from './authorities.ts';
import { type ChaosDomain, PLUGINS, type PluginName, SIDES, type Side } from './chaos-domain.ts';
import type { Invariants } from './invariants.ts';
import type { Random } from './random.ts';
import { faultsIn } from './whole-files.ts';

/** How often what was broken, and how long agents took from their start to the first answer, in milliseconds. */
export interface StormRecord {
  readonly counts: Map<string, number>;
  readonly agentBackMs: number[];
}

export interface StormOptions {
  readonly domain: ChaosDomain;
  readonly authorities: Authorities;
  readonly invariants: Invariants;
  readonly record: StormRecord;
  /** Lets another process take the place of a workload. */
  readonly replaceWorkload: (random: Random) => Promise<void>;
}

/** What is broken at the moment: nobody breaks it a second time meanwhile. */
type Thing = Side | 'network' | 'workload' | 'authority';

const MOST_HANDS = 2;
const LONGEST_AWAY_MS = 3_000;
const LONGEST_CUT_MS = 5_000;
const LONGEST_FREEZE_MS = 3_000;
const ANSWER_MS = 60_000;

/** Breaks one thing after the other, two at a time, and mends what it breaks. */
export class Storm {
  readonly #options: StormOptions;
  readonly #busy = new Set<Thing>();

  constructor(options: StormOptions) {
    this.#options = options;
  }

  /** @returns once everything is mended. */
  async rage(lengthMs: number, random: Random): Promise<void> {
    const until = Date.now() + lengthMs;
    const hands = Array.from({ length: MOST_HANDS }, (_, hand) => this.#break(until, random.fork(hand)));
    await Promise.all(hands);
  }

  async #break(until: number, random: Random): Promise<void> {
    while (Date.now() < until) {
      await this.#breakSomething(random);
      await wait(random.between(0, 800));
    }
  }

  async #breakSomething(random: Random): Promise<void> {
    const { domain } = this.#options;
    const chosen = random.next();
    if (chosen < 0.12) {
      await this.#holding('server', 'server killed', () => this.#kill('server', random.between(0, LONGEST_AWAY_MS)));
    } else if (chosen < 0.3) {
      const awayMs = random.next() < 0.7 ? 0 : random.between(0, LONGEST_AWAY_MS);
      await this.#holding('agent', 'agent killed', () => this.#kill('agent', awayMs));
    } else if (chosen < 0.53) {
      const plugin = random.pick(PLUGINS);
      await this.#holding(plugin.side, `${nameOf(plugin)} killed`, () => domain.killPlugin(plugin));
    } else if (chosen < 0.63) {
      const frozen = random.pick([...SIDES, ...PLUGINS]);
      const lengthMs = random.between(100, LONGEST_FREEZE_MS);
      const [side, name] = typeof frozen === 'string' ? [frozen, frozen] : [frozen.side, nameOf(frozen)];
      await this.#holding(side, `${name} frozen`, () => domain.freeze(frozen, lengthMs));
    } else if (chosen < 0.82) {
      const [kind, lengthMs] = [random.pick(['silent', 'refused'] as const), random.between(100, LONGEST_CUT_MS)];
      await this.#holding('network', `network cut (${kind})`, () => domain.cutNetwork(kind, lengthMs));
    } else if (chosen < 0.87) {
      await this.#holding('authority', 'authority replaced', () => this.#options.authorities.replace(random));
    } else {
      await this.#holding('workload', 'workload replaced', () => this.#options.replaceWorkload(random));
    }
  }

  async #holding(thing: Thing, what: string, work: () => Promise<void>): Promise<void> {
    if (this.#busy.has(thing)) return;
    this.#busy.add(thing);
    const { counts } = this.#options.record;
    counts.set(what, (counts.get(what) ?? 0) + 1);
    try {
      await work();
    } finally {
      this.#busy.delete(thing);
    }
  }

  async #kill(side: Side, awayMs: number): Promise<void> {
    const { domain, invariants, record } = this.#options;
    let answered: Promise<void> | undefined;
    await domain.killProgram(side, {
      awayMs,
      whileAway: async () => {
        for (const fault of await faultsIn(domain.deployment.dataFolder(side))) {
          invariants.violate(`the ${side} was killed, and ${inData(domain.deployment, side, fault)}`);
        }
      },
      onLaunch: () => {
        if (side !== 'agent') return;
        const launchedAt = Date.now();
        answered = invariants.nextAnswer(AbortSignal.timeout(ANSWER_MS)).then((at) => {
          if (at === undefined) invariants.violate(`an agent did not answer any workload for ${ANSWER_MS} ms`);
          else record.agentBackMs.push(at - launchedAt);
        });
      },
    });
    await answered;
  }
}

const nameOf = ({ side, type, name }: PluginName) => `${side}'s ${type} ${name}`;

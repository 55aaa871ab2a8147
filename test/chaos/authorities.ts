import { setTimeout as wait } from 'node:timers/promises';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { type AuthoritySteps, authoritySteps } from '../harness/authority-steps.ts';
import type { Random } from './random.ts';

type Kind = 'X509' | 'JWT';
/** The next authority, which everybody knows once all was well since it was prepared, and the ones before. */
interface Succession {
  prepared: string | undefined;
  readonly tainted: string[];
}

const LONGEST_STEP_MS = 1_500;

/**
 * What an administrator does to the authorities of a server that may go away at any moment: prepares one and revokes the
 * ones that are out of use while all is well, and puts the prepared one in the place of the active one at any time after.
 */
export class Authorities {
  readonly #adminSocket: string;
  readonly #successions: ReadonlyMap<Kind, Succession> = new Map(
    (['X509', 'JWT'] as const).map((kind) => [kind, { prepared: undefined, tainted: [] }]),
  );
  readonly #known = new Map<Kind, string>();

  constructor(adminSocket: string) {
    this.#adminSocket = adminSocket;
  }

  /** Replaces the active one by one that everybody knows, as far as the server is there. */
  async replace(random: Random): Promise<void> {
    const kind = random.pick(['X509', 'JWT'] as const);
    const pauseMs = random.between(0, LONGEST_STEP_MS);
    const next = this.#known.get(kind);
    if (next === undefined) return;
    await this.#with(kind, async ({ activate, taint, active }, { tainted }) => {
      const before = await active();
      await activate(next);
      this.#known.delete(kind);
      await wait(pauseMs);
      await taint(before);
      tainted.push(before);
    }).catch(() => {}); // the server went away
  }

  /** To be called while all is well, and everybody was told of what changed in the storm before. */
  async lookAfter(): Promise<void> {
    for (const [kind, succession] of this.#successions) {
      await this.#with(kind, async ({ prepare, revoke }) => {
        for (const id of succession.tainted.splice(0)) await revoke(id);
        if (succession.prepared !== undefined) this.#known.set(kind, succession.prepared);
        succession.prepared = this.#known.has(kind) ? undefined : await prepare();
      });
    }
  }

  async #with(kind: Kind, work: (steps: AuthoritySteps, succession: Succession) => Promise<void>): Promise<void> {
    const succession = this.#successions.get(kind);
    if (succession === undefined) return;
    using channel = RpcChannel.unix(this.#adminSocket);
    await work(authoritySteps({ admin: (definition) => createClient(definition, channel) }, kind), succession);
  }
}

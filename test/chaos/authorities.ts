import { setTimeout as wait } from 'node:timers/promises';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { type AuthoritySteps, authoritySteps } from '../harness/authority-steps.ts';
import type { Random } from './random.ts';

const KINDS = ['X509', 'JWT'] as const;
type Kind = (typeof KINDS)[number];
const LONGEST_STEP_MS = 1_500;

/** What an administrator does to the authorities of a server that may go away at any moment. */
export class Authorities {
  readonly #adminSocket: string;
  readonly #tainted = new Map<Kind, string[]>(KINDS.map((kind) => [kind, []]));

  constructor(adminSocket: string) {
    this.#adminSocket = adminSocket;
  }

  /** Puts a new authority in the place of the active one, which is not to be used any more; as far as the server is there. */
  async replace(random: Random): Promise<void> {
    const kind = random.pick(KINDS);
    const pauses = [random.between(0, LONGEST_STEP_MS), random.between(0, LONGEST_STEP_MS)];
    await this.#with(kind, async ({ prepare, activate, taint, active }) => {
      const before = await active();
      const next = await prepare();
      await wait(pauses[0]);
      await activate(next);
      await wait(pauses[1]);
      await taint(before);
      this.#tainted.get(kind)?.push(before);
    }).catch(() => {}); // the server went away
  }

  /** Revokes those that nothing is signed by any more: to be called once everybody has been told. */
  async revokeTainted(): Promise<void> {
    for (const [kind, ids] of this.#tainted) {
      await this.#with(kind, async ({ revoke }) => {
        for (const id of ids.splice(0)) await revoke(id);
      });
    }
  }

  async #with(kind: Kind, work: (steps: AuthoritySteps) => Promise<void>): Promise<void> {
    using channel = RpcChannel.unix(this.#adminSocket);
    await work(authoritySteps({ admin: (definition) => createClient(definition, channel) }, kind));
  }
}

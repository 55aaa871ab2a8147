import type { AgentRepository } from '../../datastore/agent-repository.ts';
import type { CallContext, Interceptor } from '../../rpc/call.ts';
import type { TlsPeer } from '../../rpc/peer.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import type { EntryCache } from '../entry-cache.ts';
import { requireAgent } from './agent-caller.ts';
import type { Caller } from './caller.ts';
import { CALL_POLICY, type CallerClass } from './policy.ts';

export interface AuthorizerOptions {
  readonly agents: AgentRepository;
  readonly entries: EntryCache;
  /** SPIFFE IDs that administer the server without an entry. */
  readonly adminIds: readonly SpiffeId[];
  readonly clock: () => Date;
}

/** Lets a call through when its caller is of a class that its method is for; any doubt refuses. */
export class Authorizer implements Interceptor {
  readonly #options: AuthorizerOptions;
  readonly #callers = new WeakMap<CallContext, Caller>();

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** Who makes a call that was let through. */
  callerOf(context: CallContext): Caller {
    const caller = this.#callers.get(context);
    if (caller === undefined) throw new SpiffeError('PERMISSION_DENIED', `${context.method} was not authorized`);
    return caller;
  }

  async before(context: CallContext): Promise<void> {
    const classes = CALL_POLICY.get(context.method);
    if (classes === undefined) throw new SpiffeError('PERMISSION_DENIED', `nobody may call ${context.method}`);
    let refusal: unknown;
    for (const callerClass of classes) {
      try {
        const caller = await this.#identify(callerClass, context);
        if (caller !== undefined) {
          this.#callers.set(context, caller);
          return;
        }
      } catch (error) {
        refusal ??= error; // another class may still let the caller in
      }
    }
    throw (
      refusal ?? new SpiffeError('PERMISSION_DENIED', `the caller of ${context.method} is not ${describe(classes)}`)
    );
  }

  async #identify(callerClass: CallerClass, { peer }: CallContext): Promise<Caller | undefined> {
    if (peer.kind === 'unix') return callerClass === 'local' || callerClass === 'any' ? { local: true } : undefined;
    if (peer.kind !== 'tls') return undefined;
    const { address } = peer;
    const spiffeId = this.#hasExpired(peer) ? undefined : peer.spiffeId;
    const caller: Caller = { local: false, address, ...(spiffeId === undefined ? {} : { spiffeId }) };
    switch (callerClass) {
      case 'any':
        return caller;
      case 'local':
        return undefined;
      case 'agent':
        return { ...caller, agent: await requireAgent(peer, this.#options.agents, this.#options.clock()) };
      case 'admin':
        return spiffeId !== undefined && this.#isAdmin(spiffeId) ? caller : undefined;
      case 'downstream': {
        const downstreamEntries = this.#validEntries(spiffeId).filter(({ downstream }) => downstream);
        return downstreamEntries.length > 0 ? { ...caller, downstreamEntries } : undefined;
      }
    }
  }

  /** A handshake proved that the SVID was valid then; its connection may outlive it. */
  #hasExpired({ certificates: [leaf] }: TlsPeer): boolean {
    return leaf !== undefined && parseCertificate(leaf).notAfter <= this.#options.clock();
  }

  #isAdmin(spiffeId: SpiffeId): boolean {
    return this.#options.adminIds.includes(spiffeId) || this.#validEntries(spiffeId).some(({ admin }) => admin);
  }

  #validEntries(spiffeId: SpiffeId | undefined) {
    if (spiffeId === undefined) return [];
    const now = this.#options.clock().getTime() / 1000;
    return this.#options.entries.entriesOf(spiffeId).filter(({ expiresAt }) => expiresAt === 0 || expiresAt > now);
  }
}

function describe(classes: readonly CallerClass[]): string {
  const words: Readonly<Record<CallerClass, string>> = {
    any: 'known',
    local: 'on the admin socket',
    admin: 'an administrator',
    agent: 'an agent',
    downstream: 'a downstream server',
  };
  return classes.map((callerClass) => words[callerClass]).join(' or ');
}

import type { AgentRepository } from '../../datastore/agent-repository.ts';
import type { CallContext, Interceptor } from '../../rpc/call.ts';
import type { TlsPeer } from '../../rpc/peer.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { type SpiffeId, trustDomainOf } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { EntryCache } from '../entry-cache.ts';
import { type Access, accessByRoles, FULL_ACCESS } from './access.ts';
import { requireAgent } from './agent-caller.ts';
import type { Caller } from './caller.ts';
import { leafCertificateOf } from './leaf-certificate.ts';
import { CALL_POLICY, type CallerClass } from './policy.ts';
import { findPrivilege } from './privileges.ts';
import type { RecentAgents } from './recent-agents.ts';
import type { Roles } from './roles.ts';

export interface AuthorizerOptions {
  readonly agents: AgentRepository;
  /** Agents that need not be looked for at every call. */
  readonly recentAgents?: RecentAgents | undefined;
  readonly entries: EntryCache;
  /** SPIFFE IDs that administer the server without an entry. */
  readonly adminIds: readonly SpiffeId[];
  readonly roles: Roles;
  /** Whether SVIDs of a trust domain are taken at this moment: those of a federated one may be no longer. */
  readonly isTrusted: (trustDomain: TrustDomain) => boolean;
  readonly clock: () => Date;
}

/** Lets a call through when its caller is of a class that its method is for, or has a role that allows it; any doubt refuses. */
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

  /** Who makes a call, if it was let through. */
  findCaller(context: CallContext): Caller | undefined {
    return this.#callers.get(context);
  }

  /** What a call that was let through may see and change. */
  accessOf(context: CallContext): Access {
    const { roles } = this.callerOf(context);
    if (roles === undefined) return FULL_ACCESS;
    return accessByRoles(roles, (id) => findPrivilege(id, this.#options), this.#options.entries);
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
    const byRole = this.#identifyByRole(context);
    if (byRole !== undefined) {
      this.#callers.set(context, byRole);
      return;
    }
    throw (
      refusal ?? new SpiffeError('PERMISSION_DENIED', `the caller of ${context.method} is not ${describe(classes)}`)
    );
  }

  async #identify(callerClass: CallerClass, { peer }: CallContext): Promise<Caller | undefined> {
    if (peer.kind === 'unix') {
      if (callerClass === 'local') return { as: 'local', via: 'transport', local: true };
      return callerClass === 'any' ? { as: 'nobody', via: '', local: true } : undefined;
    }
    if (peer.kind !== 'tls') return undefined;
    const caller = this.#tlsCaller(peer);
    const { spiffeId } = caller;
    switch (callerClass) {
      case 'any':
        return caller;
      case 'local':
        return undefined;
      case 'agent': {
        const { agents, recentAgents, clock } = this.#options;
        const agent = await requireAgent(peer, agents, clock(), recentAgents);
        return { ...caller, as: 'agent', via: 'datastore', agent };
      }
      case 'admin': {
        const via = spiffeId === undefined ? undefined : this.#adminVia(spiffeId);
        return via === undefined ? undefined : { ...caller, as: 'admin', via };
      }
      case 'downstream': {
        const downstreamEntries = this.#validEntries(spiffeId).filter(({ downstream }) => downstream);
        if (downstreamEntries.length === 0) return undefined;
        return { ...caller, as: 'downstream', via: 'entries', downstreamEntries };
      }
    }
  }

  #identifyByRole({ peer, method }: CallContext): Caller | undefined {
    if (peer.kind !== 'tls') return undefined;
    const caller = this.#tlsCaller(peer);
    if (caller.spiffeId === undefined) return undefined;
    const roles = this.#options.roles.allowing(caller.spiffeId, method);
    if (roles.length === 0) return undefined;
    return { ...caller, as: 'role', via: roles.map(({ name }) => name).join(','), roles };
  }

  #tlsCaller(peer: TlsPeer): Caller {
    const { address, spiffeId } = peer;
    const isValid =
      spiffeId !== undefined && !this.#hasExpired(peer) && this.#options.isTrusted(trustDomainOf(spiffeId));
    return { as: 'nobody', via: '', local: false, address, ...(isValid ? { spiffeId } : {}) };
  }

  /** A handshake proved that the SVID was valid then; its connection may outlive it. */
  #hasExpired(peer: TlsPeer): boolean {
    const leaf = leafCertificateOf(peer);
    return leaf !== undefined && leaf.notAfter <= this.#options.clock();
  }

  #adminVia(spiffeId: SpiffeId): 'config' | 'entries' | undefined {
    if (this.#options.adminIds.includes(spiffeId)) return 'config';
    return this.#validEntries(spiffeId).some(({ admin }) => admin) ? 'entries' : undefined;
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

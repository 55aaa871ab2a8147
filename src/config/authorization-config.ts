import { z } from 'zod';
import { isReservedId, pathOf, type SpiffeId, serverId, trustDomainOf } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { findMethods, groupOfMethod, METHOD_GROUPS, methodNames } from './api-methods.ts';
import { choice, onEveryBlock, spiffeIdText } from './fields.ts';
import { findNearest } from './suggest.ts';

/** Whom the server lets call what, besides administrators and agents: `server { authorization { … } }`. */
export interface RoleConfig {
  readonly name: string;
  /** SPIFFE IDs of callers over TLS, of this trust domain or a federated one. */
  readonly callers: readonly SpiffeId[];
  /** `/package.Service/Method`. */
  readonly methods: readonly string[];
  /** Absent: everything. */
  readonly scope: ScopeConfig | undefined;
  /** Fields of entries that may be set, and are empty otherwise. */
  readonly grants: readonly RoleGrant[];
}

/** Conditions that all hold for what is in it; an empty one holds always. */
export interface ScopeConfig {
  readonly parentIds: readonly SpiffeId[];
  /** Each covers itself and what is below. */
  readonly parentIdPrefixes: readonly SpiffeId[];
  /** Each covers itself and what is below. */
  readonly spiffeIdPrefixes: readonly SpiffeId[];
  /** Types that selectors may have. */
  readonly selectorTypes: readonly string[];
}

export type RoleGrant = 'admin' | 'downstream' | 'store_svid' | 'federates_with' | 'dns_names';

const grant = choice(['admin', 'downstream', 'store_svid', 'federates_with', 'dns_names']);

/** Role names are in logs and answers. */
const ROLE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const nonEmpty = <S extends z.ZodType>(item: S, what: string) =>
  z.array(item).min(1, { error: `must name one ${what} at least` });

const methods = nonEmpty(
  z.string().transform((text, ctx) => {
    const found = findMethods(text);
    if (found === undefined) {
      const nearest = findNearest(text, methodNames());
      const advice = nearest === undefined ? `groups are ${roleGroups().join(', ')}` : `did you mean "${nearest}"?`;
      ctx.addIssue(`is neither a group of methods nor a method: ${advice}`);
      return z.NEVER;
    }
    if (found.every((method) => groupOfMethod(method)?.forRoles)) return found;
    ctx.addIssue('cannot be given by a role: it is for agents, downstream servers or anybody, by what they are');
    return z.NEVER;
  }),
  'method or group, such as "entries:read"',
);

const scope = z
  .strictObject({
    parent_ids: nonEmpty(spiffeIdText, 'SPIFFE ID').optional(),
    parent_id_prefixes: nonEmpty(spiffeIdText, 'SPIFFE ID').optional(),
    spiffe_id_prefixes: nonEmpty(spiffeIdText, 'SPIFFE ID').optional(),
    selector_types: nonEmpty(
      z.string().regex(/^[^:\s]+$/, { error: 'must be the type of a selector, such as "k8s": what stands before ":"' }),
      'type',
    ).optional(),
  })
  .superRefine((raw, ctx) => {
    if (Object.values(raw).every((conditions) => conditions === undefined)) {
      ctx.addIssue('is empty: give one condition at least, or remove the block for a role that covers everything');
    }
  }, onEveryBlock)
  .transform(
    (raw): ScopeConfig => ({
      parentIds: raw.parent_ids ?? [],
      parentIdPrefixes: raw.parent_id_prefixes ?? [],
      spiffeIdPrefixes: raw.spiffe_id_prefixes ?? [],
      selectorTypes: raw.selector_types ?? [],
    }),
  );

const role = z
  .strictObject({
    callers: nonEmpty(spiffeIdText, 'SPIFFE ID'),
    methods,
    scope: scope.optional(),
    grants: z.array(grant).default([]),
  })
  .superRefine((raw, ctx) => {
    raw.callers?.forEach?.((id, index) => {
      const problem = callerProblem(id);
      if (problem !== undefined) ctx.addIssue({ code: 'custom', path: ['callers', index], message: problem });
    });
    const given = raw.scope;
    if (given === undefined) return;
    raw.methods?.forEach?.((found, index) => {
      for (const method of found) {
        const problem = scopeProblem(method, given);
        if (problem === undefined) continue;
        ctx.addIssue({ code: 'custom', path: ['methods', index], message: problem });
        return;
      }
    });
  });

export const authorizationConfig = z
  .strictObject({ role: z.record(z.string(), role).default({}) })
  .superRefine((raw, ctx) => {
    if (Object.keys(raw.role ?? {}).length === 0) ctx.addIssue('has no role: write one as role "name" { … }');
    for (const name of Object.keys(raw.role ?? {})) {
      if (ROLE_NAME.test(name)) continue;
      const message = 'is no name of a role: it has 1 to 64 letters, digits, ".", "_" and "-"';
      ctx.addIssue({ code: 'custom', path: ['role', name], message });
    }
  }, onEveryBlock)
  .transform(({ role: roles }): readonly RoleConfig[] =>
    Object.entries(roles).map(([name, raw]) => ({
      name,
      callers: raw.callers,
      methods: [...new Set(raw.methods.flat())],
      scope: raw.scope,
      grants: raw.grants,
    })),
  );

/** What a scope names is of the server's own trust domain: nothing else has entries here. */
export function authorizationProblems(
  roles: readonly RoleConfig[],
  trustDomain: TrustDomain,
): readonly { readonly path: readonly (string | number)[]; readonly message: string }[] {
  return roles.flatMap(({ name, scope: given }) => {
    if (given === undefined) return [];
    const lists: readonly (readonly [string, readonly SpiffeId[], (id: SpiffeId) => string | undefined])[] = [
      ['parent_ids', given.parentIds, (id) => memberProblem(id, trustDomain)],
      ['parent_id_prefixes', given.parentIdPrefixes, (id) => parentPrefixProblem(id, trustDomain)],
      ['spiffe_id_prefixes', given.spiffeIdPrefixes, (id) => workloadProblem(id, trustDomain)],
    ];
    return lists.flatMap(([key, ids, problemOf]) =>
      ids.flatMap((id, index) => {
        const message = problemOf(id);
        return message === undefined ? [] : [{ path: ['authorization', 'role', name, 'scope', key, index], message }];
      }),
    );
  });
}

function callerProblem(id: SpiffeId): string | undefined {
  if (pathOf(id) === '') return 'is a trust domain, not somebody of it: a caller has a path';
  if (isReservedId(id)) return "is a server's or an agent's SPIFFE ID: a role is for workloads";
  return undefined;
}

function memberProblem(id: SpiffeId, trustDomain: TrustDomain): string | undefined {
  if (trustDomainOf(id) !== trustDomain) return `is not of the trust domain "${trustDomain}": no entry here has it`;
  if (pathOf(id) === '') return 'is the whole trust domain: leave the condition out for that';
  return undefined;
}

function parentPrefixProblem(id: SpiffeId, trustDomain: TrustDomain): string | undefined {
  const problem = memberProblem(id, trustDomain);
  if (problem !== undefined) return problem;
  if (id === serverId(trustDomain)) {
    return 'is the server, the parent of node aliases: name it in parent_ids, where that is meant';
  }
  return pathOf(id) === '/spire' ? 'covers the server and every agent: write "/spire/agent" for the agents' : undefined;
}

function workloadProblem(id: SpiffeId, trustDomain: TrustDomain): string | undefined {
  const problem = memberProblem(id, trustDomain);
  if (problem !== undefined) return problem;
  return isReservedId(id) ? 'is reserved for servers and agents: no entry gives it' : undefined;
}

/** Why a role with this scope cannot have a method: what the scope says would not limit it, or never let it be. */
function scopeProblem(method: string, given: ScopeConfig): string | undefined {
  switch (groupOfMethod(method)?.scopedBy) {
    case 'entry':
      return undefined;
    case 'agent':
      if (given.parentIds.length + given.parentIdPrefixes.length > 0) return undefined;
      return 'is scoped by the agent, and the scope names none: add parent_ids or parent_id_prefixes, or use a role of its own';
    case 'spiffe_id':
      if (given.spiffeIdPrefixes.length > 0) return undefined;
      return 'is scoped by the SPIFFE ID, and the scope names none: add spiffe_id_prefixes, or use a role of its own';
    case undefined:
      return 'is not limited by any scope: give it by a role of its own without one, to whom it is meant for';
  }
}

function roleGroups(): readonly string[] {
  return Object.keys(METHOD_GROUPS).filter((name) => METHOD_GROUPS[name]?.forRoles);
}

import type { RoleConfig, RoleGrant } from '../../config/authorization-config.ts';
import type { EntryScope, IdScope } from '../../datastore/scope.ts';
import type { RegistrationEntry } from '../../spiffe/entry.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { isAgentId, isReservedId, type SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { EntryCache } from '../entry-cache.ts';
import { IdsBelow } from './ids-below.ts';
import type { Privilege } from './privileges.ts';
import { findOutOfScope, isIdInScope, toEntryScope, toParentScope } from './scope.ts';

/** An entry as far as roles ask about it. */
export type ScopedEntry = Pick<
  RegistrationEntry,
  'parentId' | 'spiffeId' | 'selectors' | 'admin' | 'downstream' | 'storeSvid' | 'federatesWith' | 'dnsNames'
>;

/** What a call that was let through may see and change. */
export interface Access {
  /** One has to hold for an entry to be seen; absent: all are. */
  readonly entryScopes?: readonly EntryScope[];
  /** One has to hold for an agent's SPIFFE ID; absent: all are seen. */
  readonly agentScopes?: readonly IdScope[];
  seesEntry(entry: ScopedEntry): boolean;
  seesAgent(id: SpiffeId): boolean;
  /**
   * One role has to cover the whole change: what was and what will be.
   *
   * @param before absent: it is created. @param after absent: it is deleted.
   * @throws SpiffeError `PERMISSION_DENIED`; `ENTRY_NOT_FOUND` where what was is not to be seen
   */
  requireEntryChange(before: RegistrationEntry | undefined, after: ScopedEntry | undefined): void;
  /** @throws SpiffeError `PERMISSION_DENIED` */
  requireMint(spiffeId: SpiffeId, dnsNames: readonly string[]): void;
}

/** Of administrators and whoever may open the admin socket. */
export const FULL_ACCESS: Access = {
  seesEntry: () => true,
  seesAgent: () => true,
  requireEntryChange: () => {},
  requireMint: () => {},
};

/** @param roles those of the caller that allow the method it calls */
export function accessByRoles(
  roles: readonly RoleConfig[],
  privilegeOf: (id: SpiffeId) => Privilege | undefined,
  entries: Pick<EntryCache, 'entriesBelow'>,
): Access {
  const belowByRole = new Map(
    roles.map((role) => [role, new IdsBelow(entries, (id) => isBeyond(role, id, privilegeOf))] as const),
  );
  const entryScopes = roles.map(({ scope }) => toEntryScope(scope));
  const agentScopes = roles.flatMap(({ scope }) => (scope && toParentScope(scope)) ?? []);
  const seesAllAgents = roles.some(({ scope }) => scope === undefined);
  const sees = (entry: ScopedEntry) => entryScopes.some((scope) => findOutOfScope(entry, scope) === undefined);
  const requireOne = (problemOf: (role: RoleConfig) => string | undefined) => {
    const problems = roles.map((role) => ({ role, problem: problemOf(role) }));
    if (problems.some(({ problem }) => problem === undefined)) return;
    const [first] = problems;
    if (first === undefined) throw new SpiffeError('PERMISSION_DENIED', 'no role allows this');
    throw new SpiffeError('PERMISSION_DENIED', `role "${first.role.name}" does not allow this: ${first.problem}`);
  };
  return {
    entryScopes,
    ...(seesAllAgents ? {} : { agentScopes }),
    seesEntry: sees,
    seesAgent: (id) => seesAllAgents || agentScopes.some((scope) => isIdInScope(id, scope)),
    requireEntryChange(before, after) {
      if (before !== undefined && !sees(before)) {
        throw new SpiffeError('ENTRY_NOT_FOUND', `no registration entry "${before.id}"`);
      }
      const problemOf = (role: RoleConfig, entry: ScopedEntry | undefined) =>
        entryProblem(role, entry, privilegeOf) ?? belowProblem(entry, belowByRole.get(role));
      requireOne((role) => problemOf(role, before) ?? problemOf(role, after));
    },
    requireMint(spiffeId, dnsNames) {
      requireOne((role) => mintProblem(role, spiffeId, dnsNames, privilegeOf));
    },
  };
}

const GRANTED_FIELDS: readonly (readonly [RoleGrant, (entry: ScopedEntry) => boolean])[] = [
  ['admin', ({ admin }) => admin],
  ['downstream', ({ downstream }) => downstream],
  ['store_svid', ({ storeSvid }) => storeSvid],
  ['federates_with', ({ federatesWith }) => federatesWith.length > 0],
  ['dns_names', ({ dnsNames }) => dnsNames.length > 0],
];

/** Why a role does not cover an entry as it is; nothing where it does. */
function entryProblem(
  { scope, grants }: RoleConfig,
  entry: ScopedEntry | undefined,
  privilegeOf: (id: SpiffeId) => Privilege | undefined,
): string | undefined {
  if (entry === undefined) return undefined;
  const outOfScope = findOutOfScope(entry, toEntryScope(scope));
  if (outOfScope !== undefined) return outOfScope;
  if (isAlias(entry) && scope !== undefined && !scope.parentIds.includes(entry.parentId)) {
    return 'it is a node alias, and the scope does not name its parent in parent_ids';
  }
  const field = GRANTED_FIELDS.find(([grant, isSet]) => isSet(entry) && !grants.includes(grant));
  if (field !== undefined) return `it has ${field[0]}, which the role does not grant`;
  return privilegeProblem(entry.spiffeId, grants, privilegeOf);
}

/** Whether a role could not give a SPIFFE ID by an entry of its own. Who names the parent of aliases has them lead anywhere. */
function isBeyond(
  { scope, grants }: RoleConfig,
  id: SpiffeId,
  privilegeOf: (id: SpiffeId) => Privilege | undefined,
): boolean {
  if (privilegeProblem(id, grants, privilegeOf) !== undefined) return true;
  if (scope === undefined || scope.spiffeIdPrefixes.length === 0) return false;
  if (scope.parentIds.some((parentId) => isReservedId(parentId) && !isAgentId(parentId))) return false;
  return !isIdInScope(id, { ids: [], prefixes: scope.spiffeIdPrefixes });
}

function belowProblem(entry: ScopedEntry | undefined, below: IdsBelow | undefined): string | undefined {
  const found = entry && below?.findBelow(entry.spiffeId);
  return found && `whoever has the SPIFFE ID "${entry.spiffeId}" is given "${found}" too, by entries below it`;
}

/** Below a server: agents have its SPIFFE ID by their selectors, and all that is below that. */
function isAlias({ parentId }: ScopedEntry): boolean {
  return isReservedId(parentId) && !isAgentId(parentId);
}

function mintProblem(
  { scope, grants }: RoleConfig,
  spiffeId: SpiffeId,
  dnsNames: readonly string[],
  privilegeOf: (id: SpiffeId) => Privilege | undefined,
): string | undefined {
  if (scope !== undefined && !isIdInScope(spiffeId, { ids: [], prefixes: scope.spiffeIdPrefixes })) {
    return `the SPIFFE ID "${spiffeId}" is outside of the scope`;
  }
  if (dnsNames.length > 0 && !grants.includes('dns_names')) return 'dns_names are not granted by the role';
  return privilegeProblem(spiffeId, grants, privilegeOf);
}

function privilegeProblem(
  id: SpiffeId,
  grants: readonly RoleGrant[],
  privilegeOf: (id: SpiffeId) => Privilege | undefined,
): string | undefined {
  const privilege = privilegeOf(id);
  if (privilege === undefined || grants.includes(privilege.grant)) return undefined;
  return `the SPIFFE ID "${id}" ${privilege.reason}: that takes the grant "${privilege.grant}"`;
}

import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { EntryCache } from '../entry-cache.ts';
import type { Roles } from './roles.ts';

/** What a SPIFFE ID has beyond a workload's, and which grant lets a role give that SPIFFE ID. */
export interface Privilege {
  readonly grant: 'admin' | 'downstream';
  /** Such as `is an administrator's`. */
  readonly reason: string;
}

export interface PrivilegesOptions {
  readonly adminIds: readonly SpiffeId[];
  readonly roles: Roles;
  readonly entries: Pick<EntryCache, 'entriesOf'>;
}

/**
 * Rights belong to a SPIFFE ID, whichever entry gives it: whoever could give a privileged one to a workload of his own
 * would have its rights.
 */
export function findPrivilege(id: SpiffeId, { adminIds, roles, entries }: PrivilegesOptions): Privilege | undefined {
  if (adminIds.includes(id)) return { grant: 'admin', reason: "is an administrator's, in admin_ids" };
  const [role] = roles.of(id);
  if (role !== undefined) return { grant: 'admin', reason: `is a caller's, of role "${role.name}"` };
  const given = entries.entriesOf(id); // expired ones too: they may be given time again
  if (given.some(({ admin }) => admin)) return { grant: 'admin', reason: "is an administrator's, by an entry" };
  if (given.some(({ downstream }) => downstream)) {
    return { grant: 'downstream', reason: "is a downstream server's, by an entry" };
  }
  return undefined;
}

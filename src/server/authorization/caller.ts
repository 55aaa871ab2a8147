import type { RoleConfig } from '../../config/authorization-config.ts';
import type { AttestedAgent } from '../../datastore/agent-rows.ts';
import type { RegistrationEntry } from '../../spiffe/entry.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';

/** What let a caller in; `nobody`: its method is for anybody. SPIRE's words, and `role`. */
export type AuthorizedAs = 'nobody' | 'local' | 'admin' | 'agent' | 'downstream' | 'role';

/** Who calls, as far as the call's method asked to know. */
export interface Caller {
  readonly as: AuthorizedAs;
  /** Where that is written: SPIRE's words, and the names of roles; empty where nothing had to be. */
  readonly via: string;
  /** On the admin socket. */
  readonly local: boolean;
  /** Address of a caller over TCP. */
  readonly address?: string;
  /** Proved in the TLS handshake. */
  readonly spiffeId?: SpiffeId;
  /** The attested agent it is, where the method is for agents. */
  readonly agent?: AttestedAgent;
  /** The entries that make it a downstream server, where the method is for those. */
  readonly downstreamEntries?: readonly RegistrationEntry[];
  /** The roles that allow the call, where nothing else does. */
  readonly roles?: readonly RoleConfig[];
}

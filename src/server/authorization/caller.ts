import type { AttestedAgent } from '../../datastore/agent-rows.ts';
import type { RegistrationEntry } from '../../spiffe/entry.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';

/** Who calls, as far as the call's method asked to know. */
export interface Caller {
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
}

import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';

/** Identities that may administer a server, or sign for a trust domain, go to the process itself and to nobody on its behalf. */
export function isHandedOn({ admin, downstream }: AuthorizedEntry): boolean {
  return !admin && !downstream;
}

import { readlinkSync } from 'node:fs';
import type { LogFields } from '../../log/logger.ts';
import type { Peer } from '../../rpc/peer.ts';
import type { Caller } from '../authorization/caller.ts';

/** Who calls, in SPIRE's words. The path of a process is what it runs while it is known to live. */
export function callerFields(peer: Peer, caller: Caller | undefined): LogFields {
  const authorized = caller === undefined ? {} : { authorized_as: caller.as, authorized_via: caller.via };
  switch (peer.kind) {
    case 'unix': {
      const path = programOf(peer.pid);
      return {
        ...authorized,
        caller_uid: peer.uid,
        caller_gid: peer.gid,
        caller_path: peer.isAlive() ? path : undefined,
      };
    }
    case 'tls':
      return { ...authorized, caller_addr: `${hostOf(peer.address)}:${peer.port}`, caller_id: peer.spiffeId };
    case 'plugin':
      return authorized;
  }
}

function hostOf(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** Nothing of a process that has ended, or that this one may not look at. */
function programOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}

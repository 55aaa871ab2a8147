import { SpiffeError } from '../spiffe/error.ts';
import type { ClientAddress } from './network-address.ts';

/** What precedes the client's own bytes. */
export interface ProxyHeader {
  /** Of the header; what follows is the client's. */
  readonly length: number;
  /** Absent where the proxy speaks for itself, or does not know for whom. */
  readonly client?: ClientAddress;
}

export function invalidHeader(rule: string): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', `the PROXY protocol header ${rule}`);
}

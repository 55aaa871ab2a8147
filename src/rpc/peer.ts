import type { SpiffeId } from '../spiffe/spiffe-id.ts';

/**
 * The process at the other end of a Unix socket, as the kernel knew it when it connected.
 * Disposed with its connection.
 */
export interface UnixPeer extends Disposable {
  readonly kind: 'unix';
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Clock ticks from boot to the start of the process: field 22 of proc_pid_stat(5). */
  readonly startTimeTicks: number;
  /** Whether it is still that process: a reused process id does not count, nor does a zombie. `false` after disposal. */
  isAlive(): boolean;
  /**
   * Whether it is alive and runs the program it ran, as the user and group it connected as. Whoever connects may leave
   * the socket to a child and become a setuid program itself, which is not who calls.
   */
  isUnchanged(): boolean;
}

/** The other end of a TLS connection. */
export interface TlsPeer {
  readonly kind: 'tls';
  readonly address: string;
  readonly port: number;
  /** Set when it proved an X.509-SVID that verified in the handshake; absent when it sent no certificate. */
  readonly spiffeId?: SpiffeId;
  /** DER, leaf first, as it was sent; empty when it sent none. */
  readonly certificates: readonly Uint8Array[];
}

/** The other half of a go-plugin connection: a private socket, whose far end was started by us or started us. */
export interface PluginPeer {
  readonly kind: 'plugin';
}

/** Who calls. */
export type Peer = UnixPeer | TlsPeer | PluginPeer;

import type { Duplex } from 'node:stream';
import type { UnixPeer } from '../../rpc/peer.ts';

export interface WorkloadConnectionLimits {
  readonly maxPerProcess: number;
  readonly maxPerUser: number;
}

/** A workload has one or two; the containers of a node may all be of one user. */
const DEFAULT_LIMITS: WorkloadConnectionLimits = { maxPerProcess: 64, maxPerUser: 1024 };

/** Counts the connections of processes and users, so that one of them leaves room for the others. */
export class WorkloadConnections {
  readonly #limits: WorkloadConnectionLimits;
  readonly #counts = new Map<string, number>();

  constructor(limits: Partial<WorkloadConnectionLimits> = {}) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  /** Counts a connection until it closes; one too many is cut off. @returns whether it may stay. */
  admit(socket: Duplex, { pid, uid }: Pick<UnixPeer, 'pid' | 'uid'>): boolean {
    const { maxPerProcess, maxPerUser } = this.#limits;
    const keys = [`process ${pid}`, `user ${uid}`] as const;
    const [byProcess, byUser] = keys.map((key) => this.#counts.get(key) ?? 0);
    if ((byProcess ?? 0) >= maxPerProcess || (byUser ?? 0) >= maxPerUser) {
      socket.destroy();
      return false;
    }
    for (const key of keys) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    socket.once('close', () => {
      for (const key of keys) this.#forget(key);
    });
    return true;
  }

  #forget(key: string): void {
    const left = (this.#counts.get(key) ?? 1) - 1;
    if (left === 0) this.#counts.delete(key);
    else this.#counts.set(key, left);
  }
}

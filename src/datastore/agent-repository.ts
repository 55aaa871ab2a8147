import type { Selector } from '../spiffe/selector.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { EventPage } from './event-log.ts';
import type { Page, PageRequest } from './page.ts';
import type { SetMatch } from './set-match.ts';

/** An attested node. Times are Unix seconds. */
export interface AttestedAgent {
  readonly spiffeId: SpiffeId;
  /** Attestation data type, such as `tpm` or `join_token`. */
  readonly attestationType: string;
  /** Decimal serial number of the SVID in use; empty when banned. */
  readonly serialNumber: string;
  readonly expiresAt: number;
  /** Of the SVID that was issued for renewal and not seen yet; empty and 0: none. */
  readonly newSerialNumber: string;
  readonly newExpiresAt: number;
  readonly banned: boolean;
  readonly canReattest: boolean;
  readonly selectors: readonly Selector[];
  /** Empty: not told. */
  readonly agentVersion: string;
  /** 0: never. */
  readonly lastSeenAt: number;
}

export type NewAgent = Omit<
  AttestedAgent,
  'newSerialNumber' | 'newExpiresAt' | 'banned' | 'agentVersion' | 'lastSeenAt'
>;

/** What an update replaces: the keys that are present are its mask. */
export type AgentChanges = Partial<
  Pick<
    AttestedAgent,
    'attestationType' | 'serialNumber' | 'expiresAt' | 'newSerialNumber' | 'newExpiresAt' | 'canReattest' | 'selectors'
  >
>;

/** Conditions that all hold; an absent one holds always. */
export interface AgentFilter {
  readonly attestationType?: string;
  readonly selectors?: { readonly match: SetMatch; readonly selectors: readonly Selector[] };
  readonly banned?: boolean;
  readonly canReattest?: boolean;
  /** Unix seconds: the SVID in use ends before. */
  readonly expiresBefore?: number;
}

/** Attested nodes; every change but `recordSeen` appends to the event log in the same transaction. */
export declare class AgentRepository {
  /** @throws SpiffeError `ALREADY_EXISTS` */
  create(agent: NewAgent): Promise<AttestedAgent>;
  /** @throws SpiffeError `AGENT_NOT_FOUND` */
  get(spiffeId: SpiffeId): Promise<AttestedAgent>;
  find(spiffeId: SpiffeId): Promise<AttestedAgent | undefined>;
  /** Those that exist, in the order of their SPIFFE IDs. */
  findMany(spiffeIds: readonly SpiffeId[]): Promise<readonly AttestedAgent[]>;
  /** @throws SpiffeError `AGENT_NOT_FOUND` */
  update(spiffeId: SpiffeId, changes: AgentChanges): Promise<AttestedAgent>;
  /** @throws SpiffeError `AGENT_NOT_FOUND` */
  setSelectors(spiffeId: SpiffeId, selectors: readonly Selector[]): Promise<void>;
  /** Notes contact, now; an agent that is gone is let pass. */
  recordSeen(spiffeId: SpiffeId, agentVersion?: string): Promise<void>;
  /** Marks the agent and forgets its serial numbers; it stays banned until it is deleted. @throws SpiffeError `AGENT_NOT_FOUND` */
  ban(spiffeId: SpiffeId): Promise<void>;
  /** In the order of their SPIFFE IDs; without a page, all. */
  list(filter?: AgentFilter, page?: PageRequest): Promise<Page<AttestedAgent>>;
  count(filter?: AgentFilter): Promise<number>;
  /** @returns the agent that was deleted. @throws SpiffeError `AGENT_NOT_FOUND` */
  delete(spiffeId: SpiffeId): Promise<AttestedAgent>;
  /** Deletes agents that expired before `expiredBefore` (Unix seconds), never a banned one, and one that cannot re-attest only if asked. */
  prune(options: {
    readonly expiredBefore: number;
    readonly includeNonReattestable?: boolean;
    readonly limit?: number;
  }): Promise<readonly SpiffeId[]>;
  /** Sequence of the last event; 0: none yet. */
  latestEvent(): Promise<number>;
  /** Event keys are SPIFFE IDs. */
  eventsAfter(sequence: number, limit?: number): Promise<EventPage>;
  /** @returns how many */
  pruneEvents(olderThanSeconds: number): Promise<number>;
}

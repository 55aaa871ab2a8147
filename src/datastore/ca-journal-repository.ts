/** What a server remembers of its authorities, one opaque record for each server. */
export interface CaJournal {
  /** Of the server, or of its key manager. */
  readonly name: string;
  /** Hex subject key ID; empty: none is active yet. */
  readonly activeX509AuthorityId: string;
  readonly data: Uint8Array;
  /** 1 at first, +1 at each write. */
  readonly version: number;
  /** Unix seconds. */
  readonly updatedAt: number;
}

export declare class CaJournalRepository {
  find(name: string): Promise<CaJournal | undefined>;
  findByActiveX509Authority(id: string): Promise<CaJournal | undefined>;
  list(): Promise<readonly CaJournal[]>;
  /** Creates (`version` 0) or replaces the record of that version, whole. @throws SpiffeError `FAILED_PRECONDITION` when somebody else wrote since */
  set(journal: Omit<CaJournal, 'updatedAt'>): Promise<CaJournal>;
  /** A record that is gone is let pass. */
  delete(name: string): Promise<void>;
}

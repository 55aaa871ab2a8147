import type { AuthorityRecord, Slot } from './authority-records.ts';
import type { JournalContent } from './journal-content.ts';

/** What the two kinds of authorities do differently. */
export interface AuthorityKind<Record extends AuthorityRecord, Authority extends { readonly notAfter: number }> {
  /** As people and SPIRE's messages call it. */
  readonly name: 'X.509' | 'JWT';
  recordsOf(content: JournalContent): readonly Record[];
  withRecords(content: JournalContent, records: readonly Record[]): JournalContent;
  /** Makes a new key in `slot`, in place of the one there, and publishes it: it is in the bundle when it returns. */
  make(slot: Slot, now: number): Promise<Record>;
  /** What signs, where the key manager still holds the key of the record. */
  find(record: Record): Promise<Authority | undefined>;
  /** Whether the bundle verifies what it signed. */
  isPublished(record: Record): boolean;
  taint(authorityId: string): Promise<void>;
  revoke(authorityId: string): Promise<void>;
  /** Why one that does not sign cannot be revoked, or only perhaps: what is not tainted is refused later. */
  findRevocationProblem(authorityId: string, record: Record | undefined): string | undefined;
}

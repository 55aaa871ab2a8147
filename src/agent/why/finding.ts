import type { Selector } from '../../spiffe/selector.ts';

/** What is wrong, or right: for programs, and in sentences with what mends it. */
export interface Finding {
  readonly code: FindingCode;
  readonly text: string;
}

export type FindingCode =
  | 'IDENTITY'
  | 'OTHER_TRUST_DOMAIN'
  | 'OTHER_IDENTITY'
  | 'AGENT_NOT_ATTESTED'
  | 'AGENT_EXPIRED'
  | 'AGENT_MUST_REATTEST'
  | 'SERVER_AWAY'
  | 'SYNC_FAILED'
  | 'NOT_SYNCED_YET'
  | 'ATTESTOR_FAILED'
  | 'ATTESTOR_NOT_LOADED'
  | 'NO_ATTESTOR'
  | 'SVID_BEING_SIGNED'
  | 'SVID_REFUSED'
  | 'SVID_MISSING'
  | 'ENTRY_EXPIRED'
  | 'ENTRY_FOR_STORE'
  | 'SELECTOR_MISSPELLED'
  | 'SELECTOR_MISSING'
  | 'ENTRY_JUST_CREATED'
  | 'ENTRY_OF_OTHER_AGENT'
  | 'NODE_LACKS_SELECTORS'
  | 'WRONG_PARENT_ID'
  | 'SERVER_NOT_ASKED'
  | 'NO_ENTRY';

/** How a selector is written: a log may not be for all of them. */
export type ShowSelector = (selector: Selector) => string;

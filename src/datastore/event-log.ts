export type EventKind = 'created' | 'updated' | 'deleted';

/** A change that was committed. */
export interface ChangeEvent {
  /** Without gaps, in the order of commits. */
  readonly sequence: number;
  readonly kind: EventKind;
  /** Entry ID, or SPIFFE ID of the agent. */
  readonly key: string;
  /** Unix seconds. */
  readonly at: number;
}

export interface EventPage {
  readonly events: readonly ChangeEvent[];
  /** True: events after the asked sequence were pruned already, so read everything anew. */
  readonly missed: boolean;
}

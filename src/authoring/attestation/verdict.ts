import type { Status } from '../../spiffe/status.ts';

/** What a server half decided about a node, as it said it. */
export type Verdict = Admission | Refusal;

export interface Admission {
  readonly outcome: 'admitted';
  readonly spiffeId: string;
  readonly selectorValues: readonly string[];
  readonly canReattest: boolean;
}

export interface Refusal {
  readonly outcome: 'refused';
  readonly status: Status;
  readonly message: string;
}

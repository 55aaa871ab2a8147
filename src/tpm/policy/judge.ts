import { isSpiffeError } from '../../spiffe/error.ts';
import type { BootFacts } from '../boot/boot-facts.ts';
import type { BootPolicy } from './boot-policy.ts';
import { BrokenRule, type Finding, type RuleId } from './require-rule.ts';
import { requirePolicy } from './rules.ts';

export type Verdict =
  /** The first policy that holds. */
  | { readonly isMet: true; readonly policy: string }
  /** Why each does not, in the order of the policies: for the operator alone. */
  | { readonly isMet: false; readonly refusals: readonly PolicyRefusal[] };

/** Why a policy does not hold: its first rule that does not. */
export interface PolicyRefusal extends Finding {
  readonly policy: string;
  readonly rule: RuleId;
  /** All of it in words. */
  readonly message: string;
}

/** For the peer: it learns no more than that nothing held. */
export const REFUSAL_FOR_PEER = 'what the node booted meets no policy: the server has logged which rule failed on what';

/** Finds the first policy that a machine meets. */
export function judge(policies: readonly BootPolicy[], facts: BootFacts): Verdict {
  const refusals: PolicyRefusal[] = [];
  for (const policy of policies) {
    const refusal = findRefusal(policy, facts);
    if (refusal === undefined) return { isMet: true, policy: policy.name };
    refusals.push(refusal);
  }
  return { isMet: false, refusals };
}

/** Why a policy does not hold for a machine; undefined where it does. */
export function findRefusal(policy: BootPolicy, facts: BootFacts): PolicyRefusal | undefined {
  try {
    requirePolicy(policy, facts);
    return undefined;
  } catch (error) {
    if (!isSpiffeError(error) || !(error.cause instanceof BrokenRule)) throw error;
    const { rule, finding } = error.cause;
    return { policy: policy.name, rule, message: error.message, ...finding };
  }
}

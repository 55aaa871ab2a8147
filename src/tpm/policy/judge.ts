import { isSpiffeError } from '../../spiffe/error.ts';
import { type BootFacts, type ImaCheckpoint, isKnown } from '../boot/boot-facts.ts';
import { runSlices, type Sliced } from '../slices.ts';
import type { BootPolicy } from './boot-policy.ts';
import { bootRules } from './boot-rules.ts';
import type { JudgeContext } from './judge-context.ts';
import { policyDigest } from './policy-digest.ts';
import { BrokenRule, type Finding, type RuleId } from './require-rule.ts';
import { requireIma } from './rules/ima.ts';

export type Verdict = MetVerdict | RefusedVerdict;

interface JudgedIma {
  /** Goes into the next {@link ImaCheckpoint}: digests of the policies whose rule on IMA holds for every entry so far. */
  readonly imaAllowedBy: readonly string[];
}

/** By the first policy that holds. */
export interface MetVerdict extends JudgedIma {
  readonly isMet: true;
  readonly policy: string;
  /** Whether it has a rule on what IMA measured. */
  readonly isImaJudged: boolean;
}

/** Why no policy holds, in the order of the policies: for the operator alone. */
export interface RefusedVerdict extends JudgedIma {
  readonly isMet: false;
  readonly refusals: readonly PolicyRefusal[];
}

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
export function judge(policies: readonly BootPolicy[], facts: BootFacts, context: JudgeContext = {}): Verdict {
  return runSlices(judgeInSlices(policies, facts, context));
}

/** The same, in slices. */
export function* judgeInSlices(
  policies: readonly BootPolicy[],
  facts: BootFacts,
  context: JudgeContext = {},
): Sliced<Verdict> {
  const refusals: PolicyRefusal[] = [];
  const imaAllowedBy: string[] = [];
  let met: BootPolicy | undefined;
  for (const policy of policies) {
    const [boot] = brokenRules(policy, bootRules(policy, facts, context));
    yield;
    const ima = yield* judgeIma(policy, facts);
    if (policy.ima !== undefined && ima === undefined) imaAllowedBy.push(policyDigest(policy));
    const refusal = boot ?? ima;
    if (refusal !== undefined) refusals.push(refusal);
    else met ??= policy;
  }
  return met === undefined
    ? { isMet: false, refusals, imaAllowedBy }
    : { isMet: true, policy: met.name, isImaJudged: met.ima !== undefined, imaAllowedBy };
}

/** Every rule of a policy that a machine breaks; none where it meets it. */
export function explain(policy: BootPolicy, facts: BootFacts, context: JudgeContext = {}): readonly PolicyRefusal[] {
  const ima = runSlices(judgeIma(policy, facts));
  return [...brokenRules(policy, bootRules(policy, facts, context)), ...(ima === undefined ? [] : [ima])];
}

function* brokenRules(policy: BootPolicy, rules: readonly (() => void)[]): Generator<PolicyRefusal, void> {
  for (const requireRules of rules) {
    try {
      requireRules();
    } catch (error) {
      yield toRefusal(policy, error);
    }
  }
}

/** Goes on from here with what the IMA log gains. Undefined where no IMA log was read. */
export function nextImaCheckpoint({ ima }: BootFacts, { imaAllowedBy }: Verdict): ImaCheckpoint | undefined {
  if (!isKnown(ima)) return undefined;
  const { entryCount, violationCount, pcr, isPaddedSha1 } = ima;
  return { entryCount, violationCount, pcr, isPaddedSha1, allowedBy: imaAllowedBy };
}

function* judgeIma(policy: BootPolicy, facts: BootFacts): Sliced<PolicyRefusal | undefined> {
  if (policy.ima === undefined) return undefined;
  try {
    yield* requireIma(policy, policy.ima, facts);
    return undefined;
  } catch (error) {
    return toRefusal(policy, error);
  }
}

/** @throws what is no broken rule */
function toRefusal(policy: BootPolicy, error: unknown): PolicyRefusal {
  if (!isSpiffeError(error) || !(error.cause instanceof BrokenRule)) throw error;
  const { rule, finding } = error.cause;
  return { policy: policy.name, rule, message: error.message, ...finding };
}

import type { BootPolicyFile } from '../config/boot-policy.ts';
import type { BootFacts } from '../tpm/boot/boot-facts.ts';
import { readBootFacts } from '../tpm/boot/read-boot-facts.ts';
import type { RecordedEvidence } from '../tpm/evidence/recorded-evidence.ts';
import {
  type BelievedBank,
  bootEvidenceOf,
  type VerifiedEvidence,
  verifyEvidence,
} from '../tpm/evidence/verify-evidence.ts';
import { bootSelectors } from '../tpm/policy/boot-selectors.ts';
import { judge, type Verdict } from '../tpm/policy/judge.ts';
import type { EkTrustStore } from '../tpm-trust/ek-trust-store.ts';
import { type ExaminedEk, examineEk } from './examine-ek.ts';
import { Problems } from './problems.ts';

export interface EvidenceExpectation extends BelievedBank {
  readonly nonce?: Uint8Array | undefined;
  /** Without, the endorsement key is not judged. */
  readonly trust: EkTrustStore | undefined;
  /** Without, what was booted is not judged. */
  readonly policies: BootPolicyFile | undefined;
}

/** Recorded evidence with what is wrong with it. */
export interface ExaminedEvidence {
  readonly evidence: RecordedEvidence;
  readonly verified: VerifiedEvidence | undefined;
  readonly ek: ExaminedEk | undefined;
  /** Undefined where no quote holds, or the logs are not what was quoted. */
  readonly facts: BootFacts | undefined;
  /** Undefined without policies, or without facts. */
  readonly verdict: Verdict | undefined;
  /** That a server would give for the boot. */
  readonly selectors: readonly string[];
  readonly problems: readonly string[];
}

/** @throws SpiffeError `ARGUMENT_INVALID` for a bank that was not quoted */
export function examineEvidence(evidence: RecordedEvidence, expected: EvidenceExpectation): ExaminedEvidence {
  const problems = new Problems();
  const verified = problems.attempt(() => verifyEvidence(evidence, { nonce: expected.nonce }));
  if (verified === undefined) {
    const none = { ek: undefined, facts: undefined, verdict: undefined, selectors: [] };
    return { evidence, verified, ...none, problems: problems.messages };
  }
  const keys = { ek: verified.ek, certificates: evidence.ekCertificates };
  const ek = examineEk(keys, expected.trust, new Date());
  const boot = bootEvidenceOf(evidence, verified, expected);
  const facts = problems.attempt(() => readBootFacts(boot));
  const ekManufacturer = ek.verdict?.facts?.manufacturer;
  const verdict = facts && expected.policies && judge(expected.policies.policies, facts, { ekManufacturer });
  const refusals = verdict === undefined || verdict.isMet ? [] : verdict.refusals;
  return {
    ...{ evidence, verified, ek, facts, verdict },
    selectors: facts === undefined ? [] : bootSelectors(facts, verdict ?? judge([], facts)),
    problems: [
      ...problems.messages,
      ...ek.problems,
      ...refusals.map(({ policy, message }) => `policy ${JSON.stringify(policy)}: ${message}`),
    ],
  };
}

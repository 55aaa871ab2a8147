import { SpiffeError } from '../../../spiffe/error.ts';
import { defineCommand } from '../../command.ts';
import { ekTrustFlags, readEkTrustFlags } from '../../ek-trust-flags.ts';
import { bankOf, evidenceFlags, readEvidence, readNonce } from '../../evidence-flags.ts';
import { examineEvidence } from '../../examine-evidence.ts';
import { text } from '../../flag-kinds.ts';
import { formatEvidence, toEvidenceJson } from '../../format-evidence.ts';
import { outputFlag } from '../../output.ts';
import { policyKeyFlag, readPolicies } from '../../policy-file.ts';
import { requireNoProblems } from '../../problems.ts';

export const tpmVerify = defineCommand({
  summary: 'Judge recorded evidence: its quotes and logs, whose TPM it is, and what was booted by a policy',
  flags: {
    output: outputFlag,
    policy: text('Policies, one of which has to hold', 'FILE'),
    policyKey: policyKeyFlag,
    nonce: text('That was asked for, in hex; without it, the evidence may be old', 'HEX'),
    ...evidenceFlags,
    ...ekTrustFlags,
  },
  operands: 'EVIDENCE',
  flagsFollow: true,
  run: async ({ output, policy, policyKey, nonce, bank, allowPaddedSha1, ...trustFlags }, terminal, operands) => {
    const [path, ...more] = operands;
    if (path === undefined || more.length > 0) {
      throw new SpiffeError('ARGUMENT_INVALID', 'give one file that "assayer tpm quote -write" wrote');
    }
    if (policy === '' && policyKey !== '') throw new SpiffeError('ARGUMENT_INVALID', '-policyKey goes with -policy');
    const wanted = readNonce(nonce);
    const policies = policy === '' ? undefined : await readPolicies(policy, policyKey);
    const trust = await readEkTrustFlags(trustFlags);
    const examined = examineEvidence(await readEvidence(path), {
      ...{ nonce: wanted, trust, policies, allowPaddedSha1 },
      bank: bankOf(bank),
    });
    const shown = { isNonceGiven: wanted !== undefined };
    terminal.print(output === 'json' ? toEvidenceJson(examined, shown) : formatEvidence(examined, shown));
    requireNoProblems('the evidence', examined.problems);
  },
});

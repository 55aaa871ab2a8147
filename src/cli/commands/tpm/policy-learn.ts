import { bootPolicyFile } from '../../../config/boot-policy.ts';
import { readConfigValue } from '../../../config/read-config.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { judge } from '../../../tpm/policy/judge.ts';
import { learn } from '../../../tpm/policy/learn.ts';
import { defineCommand } from '../../command.ts';
import { bankOf, evidenceFlags, readPcrIndex } from '../../evidence-flags.ts';
import { commaSeparated, text, wholeNumber } from '../../flag-kinds.ts';
import { readMachineFacts } from '../../machine-facts.ts';
import { writePublicFile } from '../../written-files.ts';

export const tpmPolicyLearn = defineCommand({
  summary: 'Draft a policy that machines meet, from their evidence: read it before you use it',
  flags: {
    name: text('Name of the policy', 'NAME', 'learned'),
    policyVersion: wholeNumber('Version of the file', 'NUMBER', 1),
    pcrs: commaSeparated('PCRs whose values become golden; none by default: what was measured says more', 'NUMBERS'),
    write: text('File for the policy; standard output without it', 'FILE'),
    ...evidenceFlags,
  },
  operands: 'EVIDENCE…',
  flagsFollow: true,
  run: async ({ name, policyVersion, pcrs, write, bank, allowPaddedSha1 }, terminal, paths) => {
    if (paths.length === 0) {
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        'give the evidence of one machine or more: "assayer tpm quote -write" does',
      );
    }
    const indices = pcrs.map(readPcrIndex);
    const machines = [];
    for (const path of paths) {
      machines.push((await readMachineFacts(path, { bank: bankOf(bank), allowPaddedSha1 })).boot);
    }
    if (new Set(machines.map((facts) => facts.bank)).size > 1) {
      throw new SpiffeError('ARGUMENT_INVALID', 'the machines were quoted in several banks: name one with -bank');
    }
    const policy = learn(machines, { name, pcrs: indices });
    const file = readConfigValue(
      bootPolicyFile,
      { version: policyVersion, policies: [policy] },
      { source: 'the draft' },
    );
    for (const [index, facts] of machines.entries()) {
      const verdict = judge(file.policies, facts);
      if (verdict.isMet) continue;
      const why = verdict.refusals.map(({ message }) => message).join('; ');
      throw new SpiffeError('FAILED_PRECONDITION', `"${paths[index]}" would not meet what is learned from it: ${why}`);
    }
    const { version, policies } = file;
    const json = `${JSON.stringify({ version, policies }, undefined, 2)}\n`;
    if (write === '') terminal.print(json);
    else await writePublicFile(write, json);
  },
});

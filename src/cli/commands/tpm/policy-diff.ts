import { SpiffeError } from '../../../spiffe/error.ts';
import { explain, type PolicyRefusal } from '../../../tpm/policy/judge.ts';
import { defineCommand } from '../../command.ts';
import { ekTrustFlags, readEkTrustFlags } from '../../ek-trust-flags.ts';
import { bankOf, evidenceFlags } from '../../evidence-flags.ts';
import { ExitCode } from '../../exit-code.ts';
import { text } from '../../flag-kinds.ts';
import { toRefusalJson } from '../../format-evidence.ts';
import { readMachineFacts } from '../../machine-facts.ts';
import { onOneLine, outputFlag } from '../../output.ts';
import { policyKeyFlag, readPolicies } from '../../policy-file.ts';

export const tpmPolicyDiff = defineCommand({
  summary: 'Tell every rule of each policy that a machine breaks, and on which event',
  flags: {
    output: outputFlag,
    name: text('One policy of the file; all by default', 'NAME'),
    policyKey: policyKeyFlag,
    ...evidenceFlags,
    ...ekTrustFlags,
  },
  operands: 'POLICY EVIDENCE',
  flagsFollow: true,
  run: async (
    { output, name, policyKey, bank, allowPaddedSha1, ...trustFlags },
    terminal,
    [policyPath, path, ...more],
  ) => {
    if (policyPath === undefined || path === undefined || more.length > 0) {
      throw new SpiffeError('ARGUMENT_INVALID', 'give a file of policies, then one of evidence');
    }
    const { policies } = await readPolicies(policyPath, policyKey);
    const chosen = policies.filter((policy) => name === '' || policy.name === name);
    if (chosen.length === 0) {
      const names = policies.map((policy) => policy.name).join(', ');
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        `-name: there is no policy ${JSON.stringify(name)}, there are ${names}`,
      );
    }
    const trust = await readEkTrustFlags(trustFlags);
    const { boot, ...machine } = await readMachineFacts(path, { bank: bankOf(bank), allowPaddedSha1 }, trust);
    const found = chosen.map((policy) => ({ name: policy.name, broken: explain(policy, boot, machine) }));
    if (output === 'json') {
      const json = found.map(({ name: policy, broken }) => ({ policy, broken: broken.map(toRefusalJson) }));
      terminal.print(`${JSON.stringify(json)}\n`);
    } else {
      terminal.print(found.map(format).join(''));
    }
    if (found.every(({ broken }) => broken.length > 0)) throw new ExitCode(1);
  },
});

function format({ name, broken }: { readonly name: string; readonly broken: readonly PolicyRefusal[] }): string {
  if (broken.length === 0) return `${name}: holds\n`;
  const rules = broken.map(({ rule, subject, found, wanted, event }) => {
    const where = event === undefined ? '' : `, event ${event.number} (PCR ${event.pcr}, ${event.type})`;
    return [`  ${rule}${where}: ${subject}`, `    - ${wanted}`, `    + ${found}`]
      .map((line) => `${onOneLine(line)}\n`)
      .join('');
  });
  return `${name}: does not hold\n${rules.join('')}`;
}

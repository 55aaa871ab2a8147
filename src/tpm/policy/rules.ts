import { type BootFacts, type Fact, isKnown } from '../boot/boot-facts.ts';
import type { BootPolicy, SecureBootRule } from './boot-policy.ts';
import { matchesPattern } from './pattern.ts';
import { requireRule } from './require-rule.ts';

/** @throws SpiffeError `ATTESTATION_DENIED` by the first rule of the policy that does not hold */
export function requirePolicy(policy: BootPolicy, facts: BootFacts): void {
  requireNoFailure(facts);
  if (policy.pcrs !== undefined) requirePcrs(policy.pcrs, facts);
  if (policy.secure_boot !== undefined) requireSecureBoot(policy.secure_boot, facts);
  if (policy.kernel_cmdline !== undefined) requireCommandLine(policy.kernel_cmdline, facts);
}

/** P1 */
function requireNoFailure({ failures: [event] }: BootFacts): void {
  requireRule('P1', event === undefined, {
    subject: 'the separator',
    found: 'that of a firmware that failed',
    wanted: 'the end of a firmware that did not',
    event,
  });
}

/** P2 */
function requirePcrs(sets: NonNullable<BootPolicy['pcrs']>, { bank, pcrs }: BootFacts): void {
  const differences = sets.map(({ name, values }) => {
    const index = Object.keys(values).find((key) => hexOf(pcrs.get(Number(key))) !== values[key]?.toLowerCase());
    return { name, index, wanted: index === undefined ? '' : (values[index] ?? '') };
  });
  const isMet = differences.some(({ index }) => index === undefined);
  const [first] = differences;
  const index = first?.index ?? '';
  const value = hexOf(pcrs.get(Number(index)));
  requireRule('P2', isMet, {
    subject: `PCR ${index} of ${bank}`,
    found: value ?? 'not in the quote',
    wanted: differences
      .map((one) => (one.index === index ? `${one.wanted} (${one.name})` : `another PCR ${one.index} (${one.name})`))
      .join(' or '),
  });
}

/** P3 */
function requireSecureBoot({ authorities }: SecureBootRule, facts: BootFacts): void {
  const secureBoot = requireKnown('Secure Boot', 'known', facts.secureBoot);
  const { isEnabled, shimOff, event } = secureBoot;
  requireRule('P3', isEnabled, { subject: 'Secure Boot', found: 'off', wanted: 'on', event });
  requireRule('P3', shimOff === undefined, {
    subject: 'verification by shim',
    found: 'off (MokSBState)',
    wanted: 'on',
    event: shimOff,
  });
  if (authorities !== undefined) requireAuthorities(authorities, secureBoot.authorities);
}

/** P4 */
function requireAuthorities(
  allowed: NonNullable<SecureBootRule['authorities']>,
  authorities: Exclude<BootFacts['secureBoot'], { unknown: string }>['authorities'],
): void {
  const wanted = allowed.join(' or ');
  requireRule(
    'P4',
    authorities.some(({ from }) => from === 'db'),
    {
      subject: 'what verified the boot loader',
      found: 'nothing of db',
      wanted,
    },
  );
  for (const { name, subject, sha256, event } of authorities) {
    const isAllowed = allowed.includes(`sha256:${sha256}`) || (subject !== undefined && allowed.includes(subject));
    requireRule('P4', isAllowed, {
      subject: `what ${name} verified an image by`,
      found: `${subject ?? 'something without a name'} (sha256:${sha256})`,
      wanted,
      event,
    });
  }
}

/** P5 */
function requireCommandLine(patterns: readonly string[], facts: BootFacts): void {
  const subject = 'the command line of the kernel';
  const wanted = patterns.map((pattern) => JSON.stringify(pattern)).join(' or ');
  const { lines, unread } = requireKnown(subject, wanted, facts.commandLine);
  for (const { text, digest, event } of lines) {
    requireRule('P5', text !== undefined && patterns.some((pattern) => matchesPattern(pattern, text)), {
      subject,
      found: text === undefined ? `only known by its digest ${digest}` : JSON.stringify(text),
      wanted,
      event,
    });
  }
  const [hidden] = unread;
  requireRule('P5', hidden === undefined, {
    subject: 'what was measured beside command lines',
    found: `${hidden?.digest}, which cannot be read`,
    wanted: 'text',
    event: hidden?.event,
  });
}

/** C22: and what else keeps a fact from being proven. */
function requireKnown<T extends object>(subject: string, wanted: string, fact: Fact<T>): T {
  const found = isKnown(fact) ? '' : `not known: ${fact.unknown}`;
  requireRule('C22', isKnown(fact), { subject, found, wanted });
  return fact;
}

const hexOf = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');

import type { BootFacts, SecureBootFacts } from '../../boot/boot-facts.ts';
import type { SecureBootRule } from '../boot-policy.ts';
import { oneOf, requireKnown } from '../require-known.ts';
import { requireRule } from '../require-rule.ts';

/** @throws SpiffeError `ATTESTATION_DENIED` (C22, P5, P6, P7, D32) */
export function requireSecureBoot(rule: SecureBootRule, facts: BootFacts): void {
  const found = requireKnown('Secure Boot', 'on', facts.secureBoot);
  const { isEnabled, shimOff, event } = found;
  requireRule('P5', isEnabled, { subject: 'Secure Boot', found: 'off', wanted: 'on', event });
  requireRule('P5', shimOff === undefined, {
    subject: 'verification by shim',
    found: 'off (MokSBState)',
    wanted: 'on',
    event: shimOff,
  });
  if (rule.authorities !== undefined) requireAuthorities(rule.authorities, found);
  requireDbx(rule, found);
  if (rule.sbat_level !== undefined) requireSbatLevel(rule.sbat_level, found);
}

function requireAuthorities(allowed: readonly string[], { authorities, event: state }: SecureBootFacts): void {
  const wanted = oneOf(allowed);
  const isVerified = authorities.some(({ from }) => from === 'db');
  requireRule('P6', isVerified, {
    subject: 'what verified the boot loader',
    found: 'nothing of db',
    wanted,
    event: state,
  });
  for (const { name, subject, sha256, event } of authorities) {
    const isAllowed = allowed.includes(`sha256:${sha256}`) || (subject !== undefined && allowed.includes(subject));
    requireRule('P6', isAllowed, {
      subject: `what an image was verified by (${name})`,
      found: `${subject ?? 'something without a name'} (sha256:${sha256})`,
      wanted,
      event,
    });
  }
}

function requireDbx(
  { dbx_hashes = [], dbx_versions, dbx_entries = 0 }: SecureBootRule,
  { dbx }: SecureBootFacts,
): void {
  const { event } = dbx;
  const missing = dbx_hashes.find((hash) => !dbx.hashes.has(hash.toLowerCase()));
  requireRule('D32', missing === undefined, {
    subject: 'dbx',
    found: `a list of ${dbx.entryCount} entries without ${missing}`,
    wanted: 'a list that revokes it',
    event,
  });
  const isListed = dbx_versions === undefined || dbx_versions.some((version) => version.toLowerCase() === dbx.version);
  requireRule('D32', isListed, { subject: 'dbx', found: dbx.version, wanted: oneOf(dbx_versions ?? []), event });
  requireRule('D32', dbx.entryCount >= dbx_entries, {
    subject: 'dbx',
    found: `a list of ${dbx.entryCount} entries`,
    wanted: `${dbx_entries} or more`,
    event,
  });
}

function requireSbatLevel(minimum: number, { sbatLevel, event }: SecureBootFacts): void {
  const [, , level = ''] = (sbatLevel?.text.split('\n')[0] ?? '').split(',');
  requireRule('P7', /^\d{1,15}$/.test(level) && Number(level) >= minimum, {
    subject: 'the level of SBAT',
    found: sbatLevel === undefined ? 'not measured' : JSON.stringify(sbatLevel.text),
    wanted: `${minimum} or more`,
    event: sbatLevel?.event ?? event,
  });
}

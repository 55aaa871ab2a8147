import { createHash } from 'node:crypto';
import { type BootFacts, isKnown } from '../boot/boot-facts.ts';
import type { Verdict } from './judge.ts';

const PRINTABLE = /^[\x20-\x7e\u{a0}-\u{10ffff}]{1,256}$/u;

/** The selector values, without the type, that a measured boot and a verdict on it give: docs/measured-boot.md. */
export function bootSelectors(facts: BootFacts, verdict: Verdict): readonly string[] {
  const values = [
    ...(isKnown(facts.secureBoot) ? secureBootSelectors(facts.secureBoot) : []),
    ...(isKnown(facts.commandLine) ? commandLineSelectors(facts.commandLine) : []),
    ...(verdict.isMet ? [`policy:${verdict.policy}`] : []),
  ];
  return [...new Set(values)];
}

type Known<T> = Exclude<T, { readonly unknown: string }>;

function secureBootSelectors({
  isEnabled,
  shimOff,
  authorities,
  dbx,
}: Known<BootFacts['secureBoot']>): readonly string[] {
  const isEnforced = isEnabled && shimOff === undefined;
  const names = (isEnforced ? authorities : []).flatMap(({ subject, sha256 }) => [
    sha256,
    ...(subject !== undefined && PRINTABLE.test(subject) ? [subject] : []),
  ]);
  return [
    `secure_boot:${isEnforced ? 'enabled' : 'disabled'}`,
    ...names.map((name) => `secure_boot:authority:${name}`),
    `dbx:version:${dbx.version}`,
  ];
}

/** None where it can be told in two ways. */
function commandLineSelectors({ lines, unread }: Known<BootFacts['commandLine']>): readonly string[] {
  const [text, ...others] = new Set(lines.map((line) => line.text));
  if (text === undefined || others.length > 0 || unread.length > 0) return [];
  return [`kernel:cmdline:sha256:${createHash('sha256').update(text).digest('hex')}`];
}

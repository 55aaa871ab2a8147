import { createHash } from 'node:crypto';
import type { BootFacts, CommandLineFacts, LoaderFacts, SecureBootFacts, UkiFacts } from '../boot/boot-facts.ts';
import { isKnown } from '../boot/boot-facts.ts';
import { imaPoliciesOf } from '../boot/kernel-parameters.ts';
import type { Verdict } from './judge.ts';

const PRINTABLE = /^[\x20-\x7e\u{a0}-\u{10ffff}]{1,256}$/u;

/** The selector values, without the type, that a measured boot and a verdict on it give: docs/measured-boot.md. */
export function bootSelectors(facts: BootFacts, verdict: Verdict): readonly string[] {
  const { secureBoot, loaders, uki, commandLine } = facts;
  const values = [
    ...(isKnown(secureBoot) ? secureBootSelectors(secureBoot) : []),
    ...(isKnown(loaders) ? loaderSelectors(facts, loaders) : []),
    ...(isKnown(uki) ? ukiSelectors(uki) : []),
    ...(isKnown(commandLine) ? commandLineSelectors(commandLine) : []),
    ...(verdict.isMet && verdict.isImaJudged ? ['ima:enforced'] : []),
    ...(verdict.isMet ? [`policy:${verdict.policy}`] : []),
  ];
  return [...new Set(values)];
}

function secureBootSelectors({ isEnabled, shimOff, authorities, dbx }: SecureBootFacts): readonly string[] {
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

function loaderSelectors({ bank }: BootFacts, { images }: LoaderFacts): readonly string[] {
  return images.map(({ digest }) => `boot:loader:${bank}:${digest}`);
}

/** One value for all sections: SHA-256 of their names and digests, a line each, such as `.linux 3b…`. */
export function ukiDigest({ sections }: UkiFacts): string {
  const lines = [...sections].map(([name, { digest }]) => `${name} ${digest}\n`);
  return createHash('sha256').update(lines.join('')).digest('hex');
}

const ukiSelectors = (uki: UkiFacts): readonly string[] => [`boot:uki:sha256:${ukiDigest(uki)}`];

/** None where the command line can be told in two ways. */
function commandLineSelectors({ lines, unread }: CommandLineFacts): readonly string[] {
  const [text, ...others] = new Set(lines.map((line) => line.text));
  if (text === undefined || others.length > 0 || unread.length > 0) return [];
  return [
    `kernel:cmdline:sha256:${createHash('sha256').update(text).digest('hex')}`,
    ...[...imaPoliciesOf(text)].filter((name) => PRINTABLE.test(name)).map((name) => `ima:policy:${name}`),
  ];
}

import { type BootFacts, type Fact, isKnown, type MeasuredDigest } from '../boot/boot-facts.ts';
import { imaPoliciesOf } from '../boot/kernel-parameters.ts';
import type { BootPolicy, ImaRule, PcrSet, SecureBootRule, UkiRule } from './boot-policy.ts';

export interface LearnOptions {
  /** Of the policy. */
  readonly name: string;
  /** PCRs that become golden values: none where absent, as everything else is told by what was measured. */
  readonly pcrs?: readonly number[] | undefined;
}

/**
 * Drafts a policy that each of some machines meets: what all of them prove becomes a rule that allows what any of them has.
 * A person reads it before it is used: it allows what these machines booted, good or bad.
 */
export function learn(machines: readonly BootFacts[], { name, pcrs = [] }: LearnOptions): BootPolicy {
  const firmware = allKnown(machines.map((facts) => facts.firmware));
  const loaders = allKnown(machines.map((facts) => facts.loaders));
  const grub = allKnown(machines.map((facts) => facts.grub));
  const lines = textsOf(machines);
  const measured = {
    pcrs: pcrs.length === 0 ? undefined : machines.map((facts, index) => toSet(facts, `machine-${index + 1}`, pcrs)),
    firmware: firmware && { versions: unique(firmware.map(({ version }) => version)) },
    secure_boot: learnSecureBoot(machines),
    no_debug_mode: allKnown(machines.map((facts) => facts.secureBoot))?.every(({ actions }) => actions.length === 0),
    loaders: loaders && unique(loaders.flatMap(({ images }) => images.map(digestOf))),
    grub_commands: orNone(grub?.flatMap(({ commands }) => commands.map(({ text }) => text))),
    boot_files: orNone(grub?.flatMap(({ files }) => files.map(digestOf))),
    uki: learnUki(machines),
    kernel_cmdline: lines && unique(lines.flat()),
    ima: lines && learnIma(machines, lines.flat()),
  };
  return {
    name,
    ...Object.fromEntries(Object.entries(measured).filter(([, rule]) => rule !== undefined && rule !== false)),
  };
}

function learnSecureBoot(machines: readonly BootFacts[]): SecureBootRule | undefined {
  const found = allKnown(machines.map(({ secureBoot }) => secureBoot));
  if (!found?.every(({ isEnabled, shimOff }) => isEnabled && shimOff === undefined)) return undefined;
  const authorities = unique(found.flatMap((one) => one.authorities.map(({ sha256 }) => `sha256:${sha256}`)));
  return {
    ...(authorities.length === 0 ? {} : { authorities }),
    dbx_entries: Math.min(...found.map(({ dbx }) => dbx.entryCount)),
  };
}

function learnUki(machines: readonly BootFacts[]): UkiRule | undefined {
  const found = allKnown(machines.map(({ uki }) => uki));
  if (found === undefined) return undefined;
  const sections = found.map((uki) =>
    Object.fromEntries([...uki.sections].map(([name, section]) => [name, section.digest])),
  );
  const distinct = unique(sections.map((one) => JSON.stringify(one)));
  const extensions = unique(found.flatMap((uki) => uki.extensions.map(digestOf)));
  return {
    images: distinct.map((text, index) => ({ name: `image-${index + 1}`, sections: JSON.parse(text) })),
    ...(extensions.length === 0 ? {} : { extensions }),
  };
}

/** Only where the measured command lines turn IMA on: otherwise nobody knows what it measured. */
function learnIma(machines: readonly BootFacts[], lines: readonly string[]): ImaRule | undefined {
  const found = allKnown(machines.map(({ ima }) => ima));
  const [first = new Set<string>(), ...others] = lines.map(imaPoliciesOf);
  const policies = [...first].filter((policy) => others.every((set) => set.has(policy)));
  if (found === undefined || policies.length === 0) return undefined;
  const allowed = new Map<string, Set<string>>();
  for (const { name, digest } of found.flatMap(({ files }) => files)) {
    if (name === undefined || digest === '') continue;
    allowed.set(name, (allowed.get(name) ?? new Set()).add(digest));
  }
  const violations = Math.max(...found.map(({ violationCount }) => violationCount));
  return {
    policies,
    allow: [...allowed]
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([path, digests]) => ({ path, digests: [...digests].toSorted() })),
    ...(violations === 0 ? {} : { violations }),
    ...(found.some(({ isPaddedSha1 }) => isPaddedSha1) ? { allow_padded_sha1: true } : {}),
  };
}

/** Undefined where one of them is not known by its text, or where something may hide another. */
function textsOf(machines: readonly BootFacts[]): readonly (readonly string[])[] | undefined {
  const found = allKnown(machines.map(({ commandLine }) => commandLine));
  const lines = found?.map((one) => one.lines.flatMap(({ text }) => (text === undefined ? [] : [text])));
  return lines?.every((texts, index) => texts.length === found?.[index]?.lines.length) ? lines : undefined;
}

function toSet({ pcrs }: BootFacts, name: string, indices: readonly number[]): PcrSet {
  const values = indices.flatMap((index) => {
    const value = pcrs.get(index);
    return value === undefined ? [] : [[String(index), Buffer.from(value).toString('hex')] as const];
  });
  return { name, values: Object.fromEntries(values) };
}

function allKnown<T extends object>(facts: readonly Fact<T>[]): readonly T[] | undefined {
  const known = facts.filter((fact) => isKnown(fact));
  return known.length === facts.length && known.length > 0 ? known : undefined;
}

function orNone(values: readonly string[] | undefined): readonly string[] | undefined {
  return values === undefined || values.length === 0 ? undefined : unique(values);
}

const digestOf = ({ digest }: MeasuredDigest) => digest;
const unique = <T>(values: readonly T[]): readonly T[] => [...new Set(values)];

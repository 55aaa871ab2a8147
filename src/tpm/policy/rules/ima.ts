import type { BootFacts, ImaFacts, ImaFile } from '../../boot/boot-facts.ts';
import { imaPoliciesOf } from '../../boot/kernel-parameters.ts';
import { fileKey } from '../../ima/file-key.ts';
import { isSignedBy, parseImaKey } from '../../ima/ima-signature.ts';
import { IMA_PCR } from '../../ima/replay-ima-log.ts';
import type { Sliced } from '../../slices.ts';
import type { BootPolicy, ImaRule, UkiRule } from '../boot-policy.ts';
import { patternMatcher } from '../pattern.ts';
import { policyDigest } from '../policy-digest.ts';
import { requireKnown } from '../require-known.ts';
import { requireRule } from '../require-rule.ts';
import { findHidden } from './command-line.ts';

/** What is judged before the caller may do something else, in files that are looked up: a fifth of a microsecond. */
const LOOK_UPS_A_SLICE = 2_048;
/** What else may be done for a file, in the same unit: a pattern of a thousand characters, and an RSA signature. */
const LOOK_UPS_A_PATTERN = 4;
const LOOK_UPS_A_KEY = 256;

/**
 * Everything that was measured is allowed: by path and digest, by a signature over that digest, or because it does not matter.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (C22, E36, E40, E41, P13, P14)
 */
export function* requireIma(policy: BootPolicy, rule: ImaRule, facts: BootFacts): Sliced<void> {
  requireImaPolicies(rule.policies, policy.uki, facts);
  const ima = requireKnown('the IMA log', 'known', facts.ima);
  requireRule('P13', !ima.isPaddedSha1 || rule.allow_padded_sha1 === true, {
    subject: `PCR ${IMA_PCR} of ${facts.bank}`,
    found: 'filled with SHA-1 by the kernel',
    wanted: 'by the hash of the bank, or "allow_padded_sha1"',
  });
  requireRule('E36', ima.violationCount <= (rule.violations ?? 0), {
    subject: 'the number of violations',
    found: String(ima.violationCount),
    wanted: `${rule.violations ?? 0} or fewer`,
    event: ima.violation,
  });
  requireRule('P14', ima.after === undefined || ima.after.allowedBy.includes(policyDigest(policy)), {
    subject: `what was measured before entry ${ima.after?.entryCount}`,
    found: 'not judged by this policy',
    wanted: 'the whole IMA log',
  });
  yield* requireFiles(rule, ima);
}

/** What IMA measures is known by the measured command line alone: whichever was used turns it on. */
function requireImaPolicies(policies: readonly string[], uki: UkiRule | undefined, facts: BootFacts): void {
  const subject = 'what the measured command line says of IMA';
  const wanted = policies.map((policy) => `ima_policy=${policy}`).join(' ');
  const measured = requireKnown(subject, wanted, facts.commandLine);
  for (const { text, event } of measured.lines) {
    const found = imaPoliciesOf(text ?? '');
    requireRule(
      'E41',
      policies.every((policy) => found.has(policy)),
      { subject, found: [...found].map((policy) => `ima_policy=${policy}`).join(' ') || 'nothing', wanted, event },
    );
  }
  const hidden = findHidden(measured, uki);
  requireRule('E41', hidden === undefined, {
    subject,
    found: `hidden by ${hidden?.digest}, which cannot be read`,
    wanted,
    event: hidden?.event,
  });
}

function* requireFiles(rule: ImaRule, { files }: ImaFacts): Sliced<void> {
  const { isListed, isAllowed, lookUps } = allowanceOf(rule);
  let done = 0;
  for (const file of files) {
    if (done >= LOOK_UPS_A_SLICE) {
      done = 0;
      yield;
    }
    done += 1;
    if (file.isViolation || isListed(file)) continue;
    done += lookUps;
    if (isAllowed(file)) continue;
    // What is found is written for a refusal alone: there may be hundreds of thousands of files.
    requireRule('E40', false, {
      subject: `the file ${JSON.stringify(file.name ?? '(cannot be read)')}`,
      found: file.digest || `an entry of the template ${file.template}`,
      wanted: 'an allowed digest, or a signature by one of the keys',
      event: { number: file.number, pcr: IMA_PCR, type: file.template },
    });
  }
}

interface Allowance {
  /** By the bytes that were measured: false also where they have to be read to tell. */
  readonly isListed: (file: ImaFile) => boolean;
  readonly isAllowed: (file: ImaFile) => boolean;
  /** What {@link isAllowed} takes at most, in files that are looked up. */
  readonly lookUps: number;
}

const allowances = new WeakMap<ImaRule, Allowance>();

/** A list may have every file of a machine, and takes a while to be sorted: this is done once, best before the first machine comes. */
export function prepareImaRule(rule: ImaRule): void {
  allowanceOf(rule);
}

function allowanceOf(rule: ImaRule): Allowance {
  const known = allowances.get(rule) ?? toAllowance(rule);
  allowances.set(rule, known);
  return known;
}

function toAllowance({ allow = [], keys = [], ignore = [] }: ImaRule): Allowance {
  const listed = new Set<string>();
  for (const { path, digests } of allow) {
    if (path.includes('*')) continue;
    for (const digest of digests) {
      const key = fileKey(path, digest);
      if (key !== undefined) listed.add(key);
    }
  }
  const patterns = allow
    .filter(({ path }) => path.includes('*'))
    .map(({ path, digests }) => ({ isPath: patternMatcher([path]), digests: new Set(digests) }));
  const isIgnored = patternMatcher(ignore);
  const parsed = keys.map(parseImaKey);
  const has = (key: string | undefined) => key !== undefined && listed.has(key);
  return {
    isListed: ({ key }) => has(key),
    isAllowed: (file) => {
      const { name, digest } = file;
      if (name === undefined) return false;
      return (
        has(fileKey(name, digest)) ||
        patterns.some((one) => one.digests.has(digest) && one.isPath(name)) ||
        isIgnored(name) ||
        parsed.some((key) => isSignedBy(key, file))
      );
    },
    lookUps: 16 + (patterns.length + ignore.length) * LOOK_UPS_A_PATTERN + parsed.length * LOOK_UPS_A_KEY,
  };
}

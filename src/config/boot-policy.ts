import { z } from 'zod';
import { SpiffeError } from '../spiffe/error.ts';
import { choice, duration, requiredText, tpmManufacturer, wholeNumber } from './fields.ts';
import { readConfigValue } from './read-config.ts';

/** So that no policy takes longer to judge than the evidence to read. */
const MAX_PATTERNS = 1_000;
const MAX_PATTERN_CHARACTERS = 4_096;
const MAX_DIGESTS = 1_000;
const MAX_ALLOWED_FILES = 200_000;
const PCR = /^(?:[0-9]|1[0-9]|2[0-3])$/;
const RESETTABLE_PCRS = ['16', '23'];

const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, { error: 'must be 1 to 64 letters, digits, ".", "_" or "-"' });

const pattern = z
  .string()
  .max(MAX_PATTERN_CHARACTERS, { error: `must have ${MAX_PATTERN_CHARACTERS} characters at most` });
const patterns = listOf(pattern, MAX_PATTERNS);

const sha256 = z.string().regex(/^[0-9a-f]{64}$/i, { error: 'must be a SHA-256 in hex: 64 digits' });
const bankDigest = z.string().regex(/^(?:[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$/i, {
  error: 'must be a digest of the PCR bank in hex: 64, 96 or 128 digits',
});
const digests = listOf(bankDigest, MAX_DIGESTS);
const fileDigest = z
  .string()
  .regex(/^(?:verity:)?(?:sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/, {
    error: 'must be a hash, a colon and hex in lower case, such as "sha256:3b…"',
  });

const pcrSet = z.strictObject({
  name,
  values: z.record(z.string(), bankDigest).superRefine((values, ctx) => {
    const indices = Object.keys(values);
    if (indices.length === 0) ctx.addIssue('must have a value at least');
    for (const index of indices) {
      const message = RESETTABLE_PCRS.includes(index)
        ? 'must not be 16 or 23: software can reset them, so they prove nothing'
        : 'must be the number of a PCR, 0 to 23';
      if (!PCR.test(index) || RESETTABLE_PCRS.includes(index)) ctx.addIssue({ code: 'custom', path: [index], message });
    }
  }),
});

const firmware = z
  .strictObject({ versions: patterns.optional(), minimum: requiredText.optional() })
  .refine(({ versions, minimum }) => versions !== undefined || minimum !== undefined, {
    error: 'needs "versions" or "minimum"',
  });

const secureBoot = z.strictObject({
  authorities: listOf(requiredText, MAX_DIGESTS).optional(),
  dbx_hashes: listOf(sha256, MAX_DIGESTS).optional(),
  dbx_versions: listOf(sha256, MAX_DIGESTS).optional(),
  dbx_entries: wholeNumber.optional(),
  sbat_level: wholeNumber.optional(),
});

const uki = z.strictObject({
  images: listOf(z.strictObject({ name, sections: z.record(z.string(), bankDigest) }), MAX_DIGESTS),
  extensions: z.array(bankDigest).max(MAX_DIGESTS).optional(),
});

const ima = z
  .strictObject({
    policies: listOf(requiredText, MAX_PATTERNS),
    allow: z
      .array(z.strictObject({ path: pattern, digests: listOf(fileDigest, MAX_DIGESTS) }))
      .max(MAX_ALLOWED_FILES)
      .optional(),
    keys: listOf(requiredText, MAX_PATTERNS).optional(),
    ignore: patterns.optional(),
    violations: wholeNumber.optional(),
    allow_padded_sha1: z.boolean().optional(),
  })
  .refine(({ allow, keys }) => allow !== undefined || keys !== undefined, {
    error: 'needs "allow", "keys" or both: without one, no file would be allowed',
  });

/** One policy on what a machine booted: docs/measured-boot.md. */
export const bootPolicyConfig = z
  .strictObject({
    name,
    pcrs: listOf(pcrSet, MAX_DIGESTS).optional(),
    firmware: firmware.optional(),
    secure_boot: secureBoot.optional(),
    no_debug_mode: z.boolean().optional(),
    loaders: digests.optional(),
    grub_commands: patterns.optional(),
    boot_files: digests.optional(),
    uki: uki.optional(),
    kernel_cmdline: patterns.optional(),
    ima: ima.optional(),
    max_boot_age: duration.optional(),
    ek_manufacturers: listOf(tpmManufacturer('id:494E5443'), MAX_DIGESTS).optional(),
  })
  .refine((policy) => Object.keys(policy).length > 1, {
    error: 'has no rule: every machine would meet it',
  });

/** Policies in order: the first that holds gives its name. */
export const bootPolicies = z
  .array(bootPolicyConfig)
  .max(MAX_PATTERNS)
  .refine((policies) => new Set(policies.map((policy) => policy.name)).size === policies.length, {
    error: 'must have a name each of their own',
  });

/** What becomes of a machine that meets none. */
export const otherwise = choice(['refuse', 'admit_with_fewer_selectors']).prefault('refuse');

/** A policy file, which is signed: the same policies, and a version that never goes back. */
export const bootPolicyFile = z.strictObject({
  version: z.int({ error: 'must be a whole number' }).min(1, { error: 'must be 1 or more' }),
  policies: bootPolicies.refine((policies) => policies.length > 0, { error: 'must have a policy at least' }),
  otherwise,
});
export type BootPolicyFile = z.output<typeof bootPolicyFile>;

/**
 * Reads the JSON of a policy file, whose signature holds: it may be much larger than a configuration.
 *
 * @throws SpiffeError `CONFIG_INVALID` that names every mistake by its path
 */
export function readBootPolicyFile(text: string, source: string): BootPolicyFile {
  return readConfigValue(bootPolicyFile, parseJsonText(text, source), { source });
}

function parseJsonText(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SpiffeError('CONFIG_INVALID', `${source}: is not JSON`, { cause });
  }
}

function listOf<S extends z.ZodType>(element: S, most: number) {
  return z
    .array(element)
    .min(1, { error: 'must not be empty: leave it out' })
    .max(most, { error: `must have ${most} entries at most` });
}

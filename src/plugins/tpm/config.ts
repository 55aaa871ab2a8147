import { z } from 'zod';
import { bootPolicies, otherwise } from '../../config/boot-policy.ts';
import { choice, durationMs, flag, optionalText, tpmManufacturer } from '../../config/fields.ts';
import { reattestationFields } from '../../config/reattestation-fields.ts';
import { MAX_PCR_INDEX } from '../../tpm/pcr-selection.ts';
import { SOFTWARE_TPM_MANUFACTURERS } from '../../tpm-trust/software-tpm-manufacturers.ts';

const RESETTABLE_PCRS: readonly number[] = [16, 23];

const pcrIndex = z
  .int({ error: `must be the number of a PCR, 0 to ${MAX_PCR_INDEX}` })
  .min(0, { error: `must be the number of a PCR, 0 to ${MAX_PCR_INDEX}` })
  .max(MAX_PCR_INDEX, { error: `must be the number of a PCR, 0 to ${MAX_PCR_INDEX}` })
  .refine((index) => !RESETTABLE_PCRS.includes(index), {
    error: 'must not be 16 or 23: software can reset them, so they prove nothing',
  });

/** `policy "name" { … }`, as often as there are policies: HCL makes of each an object with its name. */
const policyBlocks = z.preprocess(
  (blocks) =>
    Array.isArray(blocks)
      ? blocks.flatMap((block: unknown) =>
          typeof block === 'object' && block !== null
            ? Object.entries(block).map(([name, rules]) => ({ ...rules, name }))
            : [block],
        )
      : (blocks ?? []),
  bootPolicies,
);

/** `plugin_data` of the server's `tpm` node attestor: docs/plugins/tpm.md. */
export const tpmServerConfig = z
  .strictObject({
    ca_path: optionalText,
    virtual_ca_path: optionalText,
    hash_path: optionalText,
    revoked_path: optionalText,
    crl_path: optionalText,
    virtual_manufacturers: z.array(tpmManufacturer('id:474F4F47')).default([...SOFTWARE_TPM_MANUFACTURERS]),
    tolerate_missing_eku: flag,
    pcr_bank: choice(['sha256', 'sha384', 'sha512']).prefault('sha256'),
    pcrs: z
      .array(pcrIndex)
      .refine((indices) => new Set(indices).size === indices.length, { error: 'must name each PCR once' })
      .optional(),
    allow_unmeasured: z.boolean().optional(),
    event_log: flag,
    ima_log: flag,
    ima_padded_sha1: flag,
    policy: policyBlocks,
    otherwise,
    policy_path: optionalText,
    policy_public_key_path: optionalText,
    state_path: optionalText,
    // For the server, which reads them beside the attestor.
    ...reattestationFields,
    challenge_timeout: durationMs.prefault('30s'),
    allow_unbound: flag,
    require_key_bound: flag,
  })
  .refine((config) => [config.ca_path, config.virtual_ca_path, config.hash_path].some((path) => path !== undefined), {
    error: 'needs "ca_path", "virtual_ca_path" or "hash_path": without one, no TPM would be trusted',
  })
  .refine((config) => config.verdict_webhook === undefined || config.reattest_interval !== undefined, {
    error: 'has "verdict_webhook", which goes with "reattest_interval"',
  })
  .refine((config) => config.policy.length === 0 || config.policy_path === undefined, {
    error: 'has policies of its own and "policy_path": keep one of them',
  })
  .refine((config) => (config.policy_path === undefined) === (config.policy_public_key_path === undefined), {
    error: 'needs both "policy_path" and "policy_public_key_path": a policy file is believed by its signature',
  })
  .refine((config) => config.policy_path === undefined || config.state_path !== undefined, {
    error: 'needs "state_path" for "policy_path": the version of the policy that was in force is kept there',
  });
export type TpmServerConfig = z.output<typeof tpmServerConfig>;

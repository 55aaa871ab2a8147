import { optionalText, z } from '../../plugin-sdk/index.ts';
import { vaultFields } from '../vault-client/config.ts';

/** Names of keys begin with it, and Vault takes no others. */
const identifier = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,128}$/, { error: 'must have letters, digits, "_", "." and "-" alone, 128 at most' });

/** Inventory P032. */
export const hashicorpVaultConfig = z
  .strictObject({
    ...vaultFields,
    key_identifier_file: optionalText,
    key_identifier_value: z.preprocess((value) => (value === '' ? undefined : value), identifier.optional()),
    transit_engine_path: optionalText,
  })
  .superRefine(({ key_identifier_file: file, key_identifier_value: value }, ctx) => {
    if ((file === undefined) !== (value === undefined)) return;
    ctx.addIssue('exactly one of key_identifier_file and key_identifier_value is needed');
  });
export type HashicorpVaultConfig = z.output<typeof hashicorpVaultConfig>;

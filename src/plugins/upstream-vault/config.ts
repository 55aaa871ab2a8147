import { optionalText, z } from '../../plugin-sdk/index.ts';
import { requireMountPoint, vaultFields } from '../vault-client/config.ts';

/** Inventory P053. */
export const upstreamVaultConfig = z.strictObject({
  ...vaultFields,
  pki_mount_point: optionalText.transform((text) => requireMountPoint(text ?? 'pki', 'pki_mount_point')),
});
export type UpstreamVaultConfig = z.output<typeof upstreamVaultConfig>;

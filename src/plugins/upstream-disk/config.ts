import { optionalText, z } from '../../plugin-sdk/index.ts';

const path = z.string({ error: 'must be the path of a PEM file' }).min(1, { error: 'must be the path of a PEM file' });

/** Inventory P049. */
export const upstreamDiskConfig = z.strictObject({
  cert_file_path: path,
  key_file_path: path,
  bundle_file_path: optionalText,
});
export type UpstreamDiskConfig = z.infer<typeof upstreamDiskConfig>;

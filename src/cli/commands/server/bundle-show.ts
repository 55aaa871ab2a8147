import { BundleDefinition } from '../../../gen/spire/api/server/bundle/v1/bundle.ts';
import { adminCommand } from '../../admin-channel.ts';
import { formatApiBundle } from '../../api-bundle.ts';
import { oneOf } from '../../flag-kinds.ts';

export const bundleShow = adminCommand({
  summary: "Print the trust domain's own bundle",
  flags: { format: oneOf('Format of the bundle, for -output pretty', ['pem', 'spiffe']) },
  run: async ({ format }, { client, show, terminal }) => {
    const bundle = await client(BundleDefinition).getBundle({ outputMask: undefined });
    show(bundle, () => terminal.print(formatApiBundle(bundle, format)));
  },
});

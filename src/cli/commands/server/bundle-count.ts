import { BundleDefinition } from '../../../gen/spire/api/server/bundle/v1/bundle.ts';
import { adminCommand } from '../../admin-channel.ts';
import { formatCount } from '../../output.ts';

export const bundleCount = adminCommand({
  summary: 'Count bundles, our own included',
  flags: {},
  run: async (_values, { client, show, terminal }) => {
    const answer = await client(BundleDefinition).countBundles({});
    show(answer, () => terminal.print(`${formatCount(answer.count, 'bundle', 'bundles')}\n`));
  },
});

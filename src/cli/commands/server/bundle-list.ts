import { BundleDefinition } from '../../../gen/spire/api/server/bundle/v1/bundle.ts';
import type { Bundle } from '../../../gen/spire/api/types/types.ts';
import type { Client } from '../../../rpc/client.ts';
import { adminCommand } from '../../admin-channel.ts';
import { formatApiBundle } from '../../api-bundle.ts';
import { oneOf, text } from '../../flag-kinds.ts';

const PAGE_SIZE = 100;
const RULE = '*'.repeat(40);

export const bundleList = adminCommand({
  summary: 'List the bundles of federated trust domains',
  flags: {
    id: text('Only the bundle of this trust domain', 'TRUST_DOMAIN'),
    format: oneOf('Format of the bundles, for -output pretty', ['pem', 'spiffe']),
  },
  run: async ({ id, format }, { client, show, terminal }) => {
    const api = client(BundleDefinition);
    if (id !== '') {
      const bundle = await api.getFederatedBundle({ trustDomain: id, outputMask: undefined });
      show(bundle, () => terminal.print(formatApiBundle(bundle, format)));
      return;
    }
    const bundles = await listBundles(api);
    show({ bundles, nextPageToken: '' }, () => {
      const texts = bundles.map(
        (bundle) => `${RULE}\n* ${bundle.trustDomain}\n${RULE}\n${formatApiBundle(bundle, format)}`,
      );
      terminal.print(texts.join('\n'));
    });
  },
});

async function listBundles(api: Client<typeof BundleDefinition>): Promise<readonly Bundle[]> {
  const bundles: Bundle[] = [];
  let pageToken = '';
  do {
    const page = await api.listFederatedBundles({ outputMask: undefined, pageSize: PAGE_SIZE, pageToken });
    bundles.push(...page.bundles);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return bundles;
}

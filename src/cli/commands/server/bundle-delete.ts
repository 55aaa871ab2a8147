import {
  BundleDefinition,
  BatchDeleteFederatedBundleRequest_Mode as Mode,
} from '../../../gen/spire/api/server/bundle/v1/bundle.ts';
import { adminCommand } from '../../admin-channel.ts';
import { requireGiven } from '../../api-ids.ts';
import { oneOf, text } from '../../flag-kinds.ts';
import { requireDone } from '../../print-item.ts';

const MODES = { restrict: Mode.RESTRICT, delete: Mode.DELETE, dissociate: Mode.DISSOCIATE } as const;

export const bundleDelete = adminCommand({
  summary: 'Delete the bundle of a federated trust domain',
  flags: {
    id: text('The trust domain', 'TRUST_DOMAIN'),
    mode: oneOf('Where entries federate with it: refuse, delete them too, or have them federate no longer', [
      'restrict',
      'delete',
      'dissociate',
    ]),
  },
  run: async ({ id, mode }, { client, show, terminal }) => {
    requireGiven(id, 'give the -id of the trust domain, such as -id spiffe://other.example');
    const answer = await client(BundleDefinition).batchDeleteFederatedBundle({ trustDomains: [id], mode: MODES[mode] });
    show(answer, () => {
      requireDone(answer.results[0]?.status, `delete federated bundle "${id}"`);
      terminal.print('bundle deleted.\n');
    });
  },
});

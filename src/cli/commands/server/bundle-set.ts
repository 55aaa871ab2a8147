import { BundleDefinition } from '../../../gen/spire/api/server/bundle/v1/bundle.ts';
import { adminCommand } from '../../admin-channel.ts';
import { requireGiven } from '../../api-ids.ts';
import { oneOf, text } from '../../flag-kinds.ts';
import { parseApiBundle } from '../../parse-api-bundle.ts';
import { requireDone } from '../../print-item.ts';
import { readInputFile } from '../../read-input-file.ts';

export const bundleSet = adminCommand({
  summary: 'Create or replace the bundle of a federated trust domain',
  flags: {
    id: text('The trust domain', 'TRUST_DOMAIN'),
    path: text('File with the bundle; standard input where it is left out', 'FILE'),
    format: oneOf('Format of the bundle', ['pem', 'spiffe']),
  },
  run: async ({ id, path, format }, { client, show, terminal }) => {
    requireGiven(id, 'give the -id of the trust domain, such as -id spiffe://other.example');
    const bundle = parseApiBundle(await readInputFile(path || '-', terminal), format, id);
    const answer = await client(BundleDefinition).batchSetFederatedBundle({ bundle: [bundle], outputMask: undefined });
    show(answer, () => {
      requireDone(answer.results[0]?.status, 'set federated bundle');
      terminal.print('bundle set.\n');
    });
  },
});

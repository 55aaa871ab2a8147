import { TrustDomainDefinition } from '../../../gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { adminCommand } from '../../admin-channel.ts';
import { requireGiven } from '../../api-ids.ts';
import { text } from '../../flag-kinds.ts';
import { requireDone } from '../../print-item.ts';

export const federationDelete = adminCommand({
  summary: 'Delete a federation relationship; the bundle stays',
  flags: { id: text('The trust domain', 'TRUST_DOMAIN') },
  run: async ({ id }, { client, show, terminal }) => {
    requireGiven(id, 'give the -id of the trust domain, such as -id spiffe://other.example');
    const answer = await client(TrustDomainDefinition).batchDeleteFederationRelationship({ trustDomains: [id] });
    show(answer, () => {
      requireDone(answer.results[0]?.status, `delete federation relationship "${id}"`);
      terminal.print('federation relationship deleted.\n');
    });
  },
});

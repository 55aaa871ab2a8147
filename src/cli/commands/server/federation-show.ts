import { TrustDomainDefinition } from '../../../gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { adminCommand } from '../../admin-channel.ts';
import { requireGiven } from '../../api-ids.ts';
import { text } from '../../flag-kinds.ts';
import { formatRelationship } from '../../print-relationship.ts';

export const federationShow = adminCommand({
  summary: 'Show a federation relationship that was made at run time',
  flags: { trustDomain: text('The trust domain that is federated with', 'TRUST_DOMAIN') },
  run: async ({ trustDomain }, { client, show, terminal }) => {
    requireGiven(trustDomain, 'give the -trustDomain, such as -trustDomain other.example');
    const relationship = await client(TrustDomainDefinition).getFederationRelationship({
      trustDomain,
      outputMask: undefined,
    });
    show(relationship, () => {
      terminal.print(`Found a federation relationship with trust domain ${relationship.trustDomain}:\n\n`);
      terminal.print(formatRelationship(relationship));
    });
  },
});

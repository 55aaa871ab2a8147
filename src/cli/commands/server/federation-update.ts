import { TrustDomainDefinition } from '../../../gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { adminCommand } from '../../admin-channel.ts';
import { federationFlags, readRelationships } from '../../federation-flags.ts';
import { printRelationshipResults } from '../../print-relationship.ts';

export const federationUpdate = adminCommand({
  summary: 'Update federation relationships with other trust domains',
  flags: federationFlags,
  run: async (values, { client, show, terminal }) => {
    const relationships = await readRelationships(values, terminal);
    const answer = await client(TrustDomainDefinition).batchUpdateFederationRelationship({
      federationRelationships: [...relationships],
      inputMask: undefined,
      outputMask: undefined,
    });
    show(answer, () => printRelationshipResults(answer.results, relationships, 'update', terminal));
  },
});

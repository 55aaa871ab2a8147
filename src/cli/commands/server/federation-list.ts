import { TrustDomainDefinition } from '../../../gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import type { FederationRelationship } from '../../../gen/spire/api/types/types.ts';
import type { Client } from '../../../rpc/client.ts';
import { adminCommand } from '../../admin-channel.ts';
import { formatCount } from '../../output.ts';
import { formatRelationship } from '../../print-relationship.ts';

const PAGE_SIZE = 100;

export const federationList = adminCommand({
  summary: 'List the federation relationships that were made at run time',
  flags: {},
  run: async (_values, { client, show, terminal }) => {
    const federationRelationships = await listRelationships(client(TrustDomainDefinition));
    show({ federationRelationships, nextPageToken: '' }, () => {
      const { length } = federationRelationships;
      terminal.print(`Found ${formatCount(length, 'federation relationship', 'federation relationships')}\n`);
      for (const relationship of federationRelationships) terminal.print(`\n${formatRelationship(relationship)}`);
    });
  },
});

async function listRelationships(
  api: Client<typeof TrustDomainDefinition>,
): Promise<readonly FederationRelationship[]> {
  const relationships: FederationRelationship[] = [];
  let pageToken = '';
  do {
    const page = await api.listFederationRelationships({ outputMask: undefined, pageSize: PAGE_SIZE, pageToken });
    relationships.push(...page.federationRelationships);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return relationships;
}

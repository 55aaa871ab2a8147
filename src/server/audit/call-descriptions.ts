import { ApplyDefinition } from '../../gen/assayer/server/apply/v1/apply.ts';
import {
  AgentDefinition,
  type ListAgentsRequest_Filter as AgentFilter,
} from '../../gen/spire/api/server/agent/v1/agent.ts';
import {
  BundleDefinition,
  BatchDeleteFederatedBundleRequest_Mode as DeleteMode,
} from '../../gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../gen/spire/api/server/entry/v1/entry.ts';
import { LocalAuthorityDefinition } from '../../gen/spire/api/server/localauthority/v1/localauthority.ts';
import { LoggerDefinition } from '../../gen/spire/api/server/logger/v1/logger.ts';
import { SVIDDefinition } from '../../gen/spire/api/server/svid/v1/svid.ts';
import { TrustDomainDefinition } from '../../gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import {
  type Status as ApiStatus,
  LogLevel,
  SelectorMatch_MatchBehavior as MatchBehavior,
} from '../../gen/spire/api/types/types.ts';
import type { LogFields } from '../../log/logger.ts';
import {
  type MethodDefinition,
  methodPath,
  type RequestOf,
  type ResponseOf,
  type ServiceDefinition,
} from '../../rpc/definition.ts';
import { Status } from '../../spiffe/status.ts';
import { applyFields, applyRecords } from './apply-records.ts';
import { bundleFields, jwtAuthorityFields, relationshipFields, x509AuthorityFields } from './bundle-fields.ts';
import { entryFields, entryFilterFields, idText, nameOf, selectorsText } from './entry-fields.ts';
import { hash } from './hash.ts';

/** What became of one item of a batch, or of a whole call. */
export interface ItemRecord {
  readonly fields: LogFields;
  readonly status: { readonly code: number; readonly message: string };
}

/** How the audit log tells of a method: never of tokens, keys and CSRs, but of the hashes of what is public. */
export interface CallDescription<Request = unknown, Response = unknown> {
  fields?(request: Request): LogFields;
  /** More fields, from an answer. */
  answered?(response: Response): LogFields;
  /** A record for each item, in the place of one for the call. */
  items?(request: Request, response: Response): readonly ItemRecord[];
}

const descriptions = new Map<string, CallDescription>();

function describe<D extends ServiceDefinition, N extends keyof D['methods'] & string>(
  definition: D,
  name: N,
  description: CallDescription<RequestOf<D['methods'][N]>, ResponseOf<D['methods'][N]>>,
): void {
  const method: MethodDefinition | undefined = definition.methods[name];
  if (method !== undefined) descriptions.set(methodPath(definition, method), description as CallDescription);
}

/** An answer that was encoded already has no results to look at. */
function itemsOf<Item, Result extends { readonly status: ApiStatus | undefined }>(
  asked: readonly Item[],
  results: readonly Result[] | undefined,
  fieldsOf: (item: Item, result: Result | undefined) => LogFields,
): readonly ItemRecord[] {
  return asked.map((item, index) => {
    const result = results?.[index];
    return { fields: fieldsOf(item, result), status: result?.status ?? { code: Status.Ok, message: '' } };
  });
}

const agentFilterFields = (filter: AgentFilter | undefined): LogFields =>
  filter === undefined
    ? {}
    : {
        node_attestor_type: filter.byAttestationType || undefined,
        by_banned: filter.byBanned,
        by_can_reattest: filter.byCanReattest,
        by_selector_match: filter.bySelectorMatch && nameOf(MatchBehavior, filter.bySelectorMatch.match),
        by_selectors: filter.bySelectorMatch && selectorsText(filter.bySelectorMatch.selectors),
      };

describe(AgentDefinition, 'countAgents', { fields: ({ filter }) => agentFilterFields(filter) });
describe(AgentDefinition, 'listAgents', { fields: ({ filter }) => agentFilterFields(filter) });
for (const name of ['getAgent', 'deleteAgent', 'banAgent'] as const) {
  describe(AgentDefinition, name, {
    fields: ({ id }: { id: Parameters<typeof idText>[0] }) => ({ spiffe_id: idText(id) }),
  });
}
describe(AgentDefinition, 'attestAgent', {
  fields: ({ step }) => (step?.$case === 'params' ? { node_attestor_type: step.value.data?.type } : {}),
  answered: ({ step }) => (step?.$case === 'result' ? { agent_id: idText(step.value.svid?.id) } : {}),
});
describe(AgentDefinition, 'renewAgent', { fields: ({ params }) => ({ csr: params && hash(params.csr) }) });
describe(AgentDefinition, 'createJoinToken', { fields: ({ ttl, agentId }) => ({ ttl, spiffe_id: idText(agentId) }) });
describe(AgentDefinition, 'postStatus', {
  fields: ({ agentVersion }) => ({ agent_version: agentVersion || undefined }),
});

describe(EntryDefinition, 'countEntries', { fields: ({ filter }) => entryFilterFields(filter) });
describe(EntryDefinition, 'listEntries', { fields: ({ filter }) => entryFilterFields(filter) });
describe(EntryDefinition, 'getEntry', { fields: ({ id }) => ({ entry_id: id }) });
describe(EntryDefinition, 'batchCreateEntry', {
  items: ({ entries }, { results }) => itemsOf(entries, results, (entry) => entryFields(entry, undefined)),
});
describe(EntryDefinition, 'batchUpdateEntry', {
  items: ({ entries, inputMask }, { results }) => itemsOf(entries, results, (entry) => entryFields(entry, inputMask)),
});
describe(EntryDefinition, 'batchDeleteEntry', {
  items: ({ ids }, { results }) => itemsOf(ids, results, (id) => ({ entry_id: id })),
});

describe(ApplyDefinition, 'applyEntries', { fields: applyFields, items: applyRecords });

describe(SVIDDefinition, 'mintX509SVID', {
  fields: ({ csr, ttl }) => ({ csr: hash(csr), ttl }),
  answered: ({ svid }) => ({ spiffe_id: idText(svid?.id), expires_at: svid?.expiresAt }),
});
describe(SVIDDefinition, 'mintJWTSVID', {
  fields: ({ id, audience, ttl }) => ({ spiffe_id: idText(id), audience: audience.join(','), ttl }),
});
describe(SVIDDefinition, 'mintWITSVID', { fields: ({ id, ttl }) => ({ spiffe_id: idText(id), ttl }) });
describe(SVIDDefinition, 'batchNewX509SVID', {
  items: ({ params }, { results }) =>
    itemsOf(params, results, ({ entryId, csr }, result) => ({
      csr: hash(csr),
      entry_id: entryId,
      spiffe_id: idText(result?.svid?.id),
      expires_at: result?.svid?.expiresAt,
    })),
});
describe(SVIDDefinition, 'newJWTSVID', {
  fields: ({ entryId, audience }) => ({ entry_id: entryId, audience: audience.join(',') }),
  answered: ({ svid }) => ({ spiffe_id: idText(svid?.id) }),
});
describe(SVIDDefinition, 'batchNewWITSVID', {
  items: ({ params }, { results }) => itemsOf(params, results, ({ entryId }) => ({ entry_id: entryId })),
});
describe(SVIDDefinition, 'newDownstreamX509CA', { fields: ({ csr }) => ({ csr: hash(csr) }) });

describe(BundleDefinition, 'appendBundle', {
  fields: ({ jwtAuthorities, x509Authorities }) => ({
    ...jwtAuthorityFields(jwtAuthorities),
    ...x509AuthorityFields(x509Authorities),
  }),
});
describe(BundleDefinition, 'publishJWTAuthority', {
  fields: ({ jwtAuthority: key }) =>
    key === undefined
      ? {}
      : {
          jwt_authority_expires_at: key.expiresAt,
          jwt_authority_key_id: key.keyId,
          jwt_authority_public_key_sha256: hash(key.publicKey),
        },
});
describe(BundleDefinition, 'getFederatedBundle', { fields: ({ trustDomain }) => ({ trust_domain_id: trustDomain }) });
describe(BundleDefinition, 'batchCreateFederatedBundle', {
  items: ({ bundle }, { results }) => itemsOf(bundle, results, bundleFields),
});
describe(BundleDefinition, 'batchUpdateFederatedBundle', {
  items: ({ bundle }, { results }) => itemsOf(bundle, results, bundleFields),
});
describe(BundleDefinition, 'batchSetFederatedBundle', {
  items: ({ bundle }, { results }) => itemsOf(bundle, results, bundleFields),
});
describe(BundleDefinition, 'batchDeleteFederatedBundle', {
  items: ({ trustDomains, mode }, { results }) =>
    itemsOf(trustDomains, results, (trustDomain) => ({
      trust_domain_id: trustDomain,
      mode: nameOf(DeleteMode, mode),
    })),
});

describe(TrustDomainDefinition, 'getFederationRelationship', {
  fields: ({ trustDomain }) => ({ trust_domain_id: trustDomain }),
});
describe(TrustDomainDefinition, 'refreshBundle', { fields: ({ trustDomain }) => ({ trust_domain_id: trustDomain }) });
describe(TrustDomainDefinition, 'batchCreateFederationRelationship', {
  items: (request, { results }) => itemsOf(request.federationRelationships, results, relationshipFields),
});
describe(TrustDomainDefinition, 'batchUpdateFederationRelationship', {
  items: (request, { results }) => itemsOf(request.federationRelationships, results, relationshipFields),
});
describe(TrustDomainDefinition, 'batchDeleteFederationRelationship', {
  items: ({ trustDomains }, { results }) =>
    itemsOf(trustDomains, results, (trustDomain) => ({ trust_domain_id: trustDomain })),
});

for (const method of Object.values(LocalAuthorityDefinition.methods)) {
  descriptions.set(methodPath(LocalAuthorityDefinition, method), {
    fields: (request) => {
      const { authorityId, subjectKeyId } = request as { authorityId?: string; subjectKeyId?: string };
      return { local_authority_id: authorityId || undefined, subject_key_id: subjectKeyId || undefined };
    },
  });
}

describe(LoggerDefinition, 'setLogLevel', {
  fields: ({ newLevel }) => ({ new_log_level: nameOf(LogLevel, newLevel) }),
});

/** By method, `/package.Service/Method`. One without a description is told of without its request. */
export const CALL_DESCRIPTIONS: ReadonlyMap<string, CallDescription> = descriptions;

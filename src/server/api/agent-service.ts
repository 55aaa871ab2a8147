import { randomUUID } from 'node:crypto';
import type { AgentFilter } from '../../datastore/agent-filter.ts';
import type { AgentRepository } from '../../datastore/agent-repository.ts';
import type { AttestedAgent } from '../../datastore/agent-rows.ts';
import type { EntryRepository } from '../../datastore/entry-repository.ts';
import type { JoinTokenRepository } from '../../datastore/join-token-repository.ts';
import { AgentDefinition, type ListAgentsRequest_Filter as Filter } from '../../gen/spire/api/server/agent/v1/agent.ts';
import { PermissionDeniedDetails_Reason as Reason, type SPIFFEID } from '../../gen/spire/api/types/types.ts';
import type { CallContext } from '../../rpc/call.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { requireValidEntry } from '../../spiffe/entry.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { agentId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { AdmissionOptions } from '../attestation/admit-agent.ts';
import type { Attestors } from '../attestation/attestors.ts';
import { denied } from '../authorization/agent-caller.ts';
import { decimalSerialNumber } from '../ca/serial-number.ts';
import type { EntryCache } from '../entry-cache.ts';
import { toApiAgent } from './api-agent.ts';
import { fromApiAgentId, fromApiId } from './api-ids.ts';
import { toApiX509Svid } from './api-svid.ts';
import { attestAgent } from './attest-agent.ts';
import { requireCsr } from './require-csr.ts';
import { fromSelectorMatch } from './selector-match.ts';

export interface AgentServiceOptions extends AdmissionOptions {
  readonly agents: AgentRepository;
  readonly entries: EntryRepository;
  readonly cache: EntryCache;
  readonly joinTokens: JoinTokenRepository;
  readonly attestors: Attestors;
  readonly trustDomain: TrustDomain;
  readonly clock: () => Date;
  /** The agent that calls. */
  readonly callingAgent: (context: CallContext) => AttestedAgent;
}

const MAX_PAGE_SIZE = 1000;

/** Inventory R001 to R009. */
export function agentService(options: AgentServiceOptions): BoundService {
  const { agents, trustDomain, callingAgent, issuer, agentTtlSeconds } = options;
  return bindService(AgentDefinition, {
    async countAgents({ filter }) {
      return { count: await agents.count(agentFilter(filter)) };
    },
    async listAgents({ filter, outputMask, pageSize, pageToken }) {
      const page = pageSize > 0 ? { size: Math.min(pageSize, MAX_PAGE_SIZE), token: pageToken } : undefined;
      const { items, nextPageToken } = await agents.list(agentFilter(filter), page);
      return { agents: items.map((agent) => toApiAgent(agent, outputMask)), nextPageToken };
    },
    async getAgent({ id, outputMask }) {
      return toApiAgent(await agents.get(fromApiAgentId(id, trustDomain)), outputMask);
    },
    async deleteAgent({ id }) {
      await agents.delete(fromApiAgentId(id, trustDomain));
      return {};
    },
    async banAgent({ id }) {
      await agents.ban(fromApiAgentId(id, trustDomain));
      return {};
    },
    attestAgent: (requests, context) => attestAgent(requests, context, options),
    async renewAgent({ params }, context) {
      const { spiffeId, canReattest } = callingAgent(context);
      if (canReattest) throw denied(`agent "${spiffeId}" has to attest again to renew`, Reason.AGENT_MUST_REATTEST);
      const { subjectPublicKeyInfo: publicKey } = requireCsr(params?.csr);
      const svid = await issuer.issueX509({ spiffeId, publicKey, dnsNames: [], ttlSeconds: agentTtlSeconds });
      await agents.update(spiffeId, {
        newSerialNumber: decimalSerialNumber(svid.serialNumber),
        newExpiresAt: svid.expiresAt,
      });
      return { svid: toApiX509Svid(svid, spiffeId) };
    },
    createJoinToken: ({ ttl, token, agentId: alias }) => createJoinToken(ttl, token, alias, options),
    async postStatus({ agentVersion }, context) {
      await agents.recordSeen(callingAgent(context).spiffeId, agentVersion);
      return {};
    },
  });
}

/** With `alias`, an entry gives the token's agent that SPIFFE ID, for workload entries to stand below. */
async function createJoinToken(
  ttlSeconds: number,
  token: string,
  alias: SPIFFEID | undefined,
  { joinTokens, entries, cache, trustDomain, clock }: AgentServiceOptions,
): Promise<{ value: string; expiresAt: bigint }> {
  if (ttlSeconds < 1)
    throw new SpiffeError('ARGUMENT_INVALID', `the TTL of a join token has to be 1 second at least, not ${ttlSeconds}`);
  const value = token === '' ? randomUUID() : token;
  const parentId = agentId(trustDomain, 'join_token', value);
  const spiffeId = alias && fromApiId(alias, 'alias');
  const entry = spiffeId && {
    ...NO_ENTRY,
    parentId,
    spiffeId,
    selectors: [{ type: 'spiffe_id', value: parentId }],
  };
  if (entry !== undefined) requireValidEntry({ ...entry, revisionNumber: 0, createdAt: 0 }, trustDomain);
  const expiresAt = Math.floor(clock().getTime() / 1000) + ttlSeconds;
  await joinTokens.create({ token: value, expiresAt });
  if (entry !== undefined) {
    await entries.create(entry);
    await cache.refresh();
  }
  return { value, expiresAt: BigInt(expiresAt) };
}

const NO_ENTRY = {
  id: '',
  x509SvidTtlSeconds: 0,
  jwtSvidTtlSeconds: 0,
  federatesWith: [],
  admin: false,
  downstream: false,
  storeSvid: false,
  dnsNames: [],
  expiresAt: 0,
  hint: '',
  jwtSvidIncludeJti: false,
  disableX509SvidPrefetch: false,
};

function agentFilter(filter: Filter | undefined): AgentFilter {
  if (filter === undefined) return {};
  return {
    ...(filter.byAttestationType !== '' && { attestationType: filter.byAttestationType }),
    ...(filter.bySelectorMatch && { selectors: fromSelectorMatch(filter.bySelectorMatch) }),
    ...(filter.byBanned !== undefined && { banned: filter.byBanned }),
    ...(filter.byCanReattest !== undefined && { canReattest: filter.byCanReattest }),
    ...(filter.byExpiresBefore !== '' && { expiresBefore: parseGoTime(filter.byExpiresBefore) }),
  };
}

/** `2006-01-02 15:04:05 -0700 -07`, as SPIRE's command line sends it. @returns Unix seconds. */
function parseGoTime(text: string): number {
  const [, date, time, offsetHours, offsetMinutes] =
    /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}) ([+-]\d{2})(\d{2})(?: \S{1,8})?$/.exec(text) ?? [];
  const milliseconds = Date.parse(`${date}T${time}${offsetHours}:${offsetMinutes}`);
  if (Number.isNaN(milliseconds)) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `the time ${JSON.stringify(text.slice(0, 64))} is not of the form "2006-01-02 15:04:05 -0700 -07"`,
    );
  }
  return Math.floor(milliseconds / 1000);
}

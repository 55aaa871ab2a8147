import type { AgentFilter } from '../../datastore/agent-filter.ts';
import type { AttestedAgent } from '../../datastore/agent-rows.ts';
import type { NewEntry } from '../../datastore/entry-repository.ts';
import { AgentDefinition, type ListAgentsRequest_Filter as Filter } from '../../gen/spire/api/server/agent/v1/agent.ts';
import { PermissionDeniedDetails_Reason as Reason, type SPIFFEID } from '../../gen/spire/api/types/types.ts';
import type { Logger } from '../../log/logger.ts';
import type { CallContext } from '../../rpc/call.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { decimalSerialNumber } from '../../x509/serial-number.ts';
import type { Access } from '../authorization/access.ts';
import { denied } from '../authorization/agent-caller.ts';
import type { EntryCache } from '../entry-cache.ts';
import { toApiAgent } from './api-agent.ts';
import { fromApiAgentId } from './api-ids.ts';
import { toApiX509Svid } from './api-svid.ts';
import { type AttestAgentOptions, attestAgent } from './attest-agent.ts';
import { createJoinToken, deleteAgent } from './join-token-agents.ts';
import { toPageRequest } from './page-request.ts';
import { requireCsr } from './require-csr.ts';
import { fromSelectorMatch } from './selector-match.ts';

export interface AgentServiceOptions extends AttestAgentOptions {
  readonly cache: EntryCache;
  readonly trustDomain: TrustDomain;
  readonly clock: () => Date;
  readonly log: Logger;
  /** The agent that calls. */
  readonly callingAgent: (context: CallContext) => AttestedAgent;
  /** What the call may see and change. */
  readonly access: (context: CallContext) => Access;
}

const MAX_AGENT_VERSION_BYTES = 255;

/** Inventory R001 to R009. */
export function agentService(options: AgentServiceOptions): BoundService {
  const { agents, trustDomain, callingAgent, issuer, agentTtlSeconds, transaction, cache, log } = options;
  const visible = (filter: Filter | undefined, context: CallContext): AgentFilter => {
    const { agentScopes } = options.access(context);
    return { ...agentFilter(filter), ...(agentScopes === undefined ? {} : { scopes: agentScopes }) };
  };
  const requireVisible = (id: SPIFFEID | undefined, context: CallContext): SpiffeId => {
    const agentId = fromApiAgentId(id, trustDomain);
    if (options.access(context).seesAgent(agentId)) return agentId;
    throw new SpiffeError('AGENT_NOT_FOUND', `no attested agent "${agentId}"`);
  };
  return bindService(AgentDefinition, {
    async countAgents({ filter }, context) {
      return { count: await agents.count(visible(filter, context)) };
    },
    async listAgents({ filter, outputMask, pageSize, pageToken }, context) {
      const page = toPageRequest(pageSize, pageToken);
      const { items, nextPageToken } = await agents.list(visible(filter, context), page);
      return { agents: items.map((agent) => toApiAgent(agent, outputMask)), nextPageToken };
    },
    async getAgent({ id, outputMask }, context) {
      return toApiAgent(await agents.get(requireVisible(id, context)), outputMask);
    },
    async deleteAgent({ id }, context) {
      const agentId = requireVisible(id, context);
      await transaction((repositories) => deleteAgent(agentId, repositories));
      await cache.refresh();
      log.info('agent deleted', { agent_id: agentId });
      return {};
    },
    async banAgent({ id }, context) {
      const agentId = requireVisible(id, context);
      await agents.ban(agentId);
      log.info('agent banned', { agent_id: agentId });
      return {};
    },
    attestAgent: (requests, context) => attestAgent(requests, context, options),
    async renewAgent({ params }, context) {
      const { spiffeId, canReattest, serialNumber: shown } = callingAgent(context);
      if (canReattest) throw denied(`agent "${spiffeId}" has to attest again to renew`, Reason.AGENT_MUST_REATTEST);
      const { subjectPublicKeyInfo: publicKey } = await requireCsr(params?.csr);
      const svid = await issuer.issueX509({ spiffeId, publicKey, dnsNames: [], ttlSeconds: agentTtlSeconds });
      const { serialNumber, expiresAt } = svid;
      await agents.renew(spiffeId, shown, { serialNumber: decimalSerialNumber(serialNumber), expiresAt });
      log.info('agent renewed', { agent_id: spiffeId, expires_at: expiresAt });
      return { svid: toApiX509Svid(svid, spiffeId) };
    },
    async createJoinToken(request, context) {
      const { requireEntryChange } = options.access(context);
      const require = (entry: NewEntry) => requireEntryChange(undefined, entry);
      const token = await createJoinToken(request, { ...options, require });
      await cache.refresh();
      return token;
    },
    async postStatus({ agentVersion }, context) {
      if (Buffer.byteLength(agentVersion) > MAX_AGENT_VERSION_BYTES) {
        throw new SpiffeError('ARGUMENT_INVALID', `the agent version has ${MAX_AGENT_VERSION_BYTES} bytes at most`);
      }
      await agents.recordSeen(callingAgent(context).spiffeId, agentVersion === '' ? undefined : agentVersion);
      return {};
    },
  });
}

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

import type { AttestedAgent } from '../../datastore/agent-rows.ts';
import { Agent, type AgentMask } from '../../gen/spire/api/types/types.ts';
import { toApiId } from './api-ids.ts';

/** An agent as the API shows it; without a mask, all of it. The id is always there. */
export function toApiAgent(agent: AttestedAgent, mask: AgentMask | undefined): Agent {
  const has = (field: keyof AgentMask) => mask === undefined || mask[field];
  return {
    ...Agent.create({ id: toApiId(agent.spiffeId) }),
    ...(has('attestationType') && { attestationType: agent.attestationType }),
    ...(has('x509svidSerialNumber') && { x509svidSerialNumber: agent.serialNumber }),
    ...(has('x509svidExpiresAt') && { x509svidExpiresAt: BigInt(agent.expiresAt) }),
    ...(has('selectors') && { selectors: agent.selectors.map(({ type, value }) => ({ type, value })) }),
    ...(has('banned') && { banned: agent.banned }),
    ...(has('canReattest') && { canReattest: agent.canReattest }),
    ...(has('agentVersion') && { agentVersion: agent.agentVersion }),
  };
}

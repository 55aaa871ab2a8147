import type { AgentRepository } from '../../datastore/agent-repository.ts';
import { PermissionDeniedDetails_Reason as Reason } from '../../gen/spire/api/types/types.ts';
import type { Logger } from '../../log/logger.ts';
import { isSpiffeError } from '../../spiffe/error.ts';
import { denied } from '../authorization/agent-caller.ts';
import { decimalSerialNumber } from '../ca/serial-number.ts';
import type { IssuedX509Svid, SvidIssuer } from '../ca/svid-issuer.ts';
import type { AttestedNode } from './attestors.ts';

export interface AdmissionOptions {
  readonly agents: AgentRepository;
  readonly issuer: SvidIssuer;
  readonly agentTtlSeconds: number;
  /** Whether an agent has its own SPIFFE ID as a selector, for node aliases to ask for. */
  readonly agentIdAsSelector: boolean;
  readonly log: Logger;
}

/** Issues the SVID of a node that attested and remembers it; what it had before counts no more. */
export async function admitAgent(
  node: AttestedNode,
  attestationType: string,
  publicKey: Uint8Array,
  { agents, issuer, agentTtlSeconds, agentIdAsSelector, log }: AdmissionOptions,
): Promise<IssuedX509Svid> {
  const { spiffeId, canReattest } = node;
  const selectors = agentIdAsSelector ? [...node.selectors, { type: 'spiffe_id', value: spiffeId }] : node.selectors;
  const known = await agents.find(spiffeId);
  if (known?.banned) throw denied(`failed to attest: agent "${spiffeId}" is banned`, Reason.AGENT_BANNED);
  const svid = await issuer.issueX509({ spiffeId, publicKey, dnsNames: [], ttlSeconds: agentTtlSeconds });
  const record = {
    attestationType,
    serialNumber: decimalSerialNumber(svid.serialNumber),
    expiresAt: svid.expiresAt,
    canReattest,
    selectors,
  };
  const renewed = { ...record, newSerialNumber: '', newExpiresAt: 0 };
  try {
    await (known === undefined ? agents.create({ spiffeId, ...record }) : agents.update(spiffeId, renewed));
  } catch (error) {
    // The same node attested on another connection meanwhile.
    if (!isSpiffeError(error, 'ALREADY_EXISTS')) throw error;
    await agents.update(spiffeId, renewed);
  }
  log.info('agent attested', { agent_id: spiffeId, attestor: attestationType, expires_at: svid.expiresAt });
  return svid;
}

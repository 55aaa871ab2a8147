import type { AgentRepository } from '../../datastore/agent-repository.ts';
import { PermissionDeniedDetails_Reason as Reason } from '../../gen/spire/api/types/types.ts';
import { isSpiffeError } from '../../spiffe/error.ts';
import { denied } from '../authorization/agent-caller.ts';
import { decimalSerialNumber } from '../ca/serial-number.ts';
import type { IssuedX509Svid, SvidIssuer } from '../ca/svid-issuer.ts';
import type { AttestedNode } from './attestors.ts';

export interface AdmissionOptions {
  readonly agents: AgentRepository;
  readonly issuer: SvidIssuer;
  readonly agentTtlSeconds: number;
}

/** Issues the SVID of a node that attested and remembers it; what it had before counts no more. */
export async function admitAgent(
  node: AttestedNode,
  attestationType: string,
  publicKey: Uint8Array,
  { agents, issuer, agentTtlSeconds }: AdmissionOptions,
): Promise<IssuedX509Svid> {
  const { spiffeId, selectors, canReattest } = node;
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
  return svid;
}

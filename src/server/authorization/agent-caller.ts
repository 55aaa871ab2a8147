import type { AgentRepository } from '../../datastore/agent-repository.ts';
import type { AttestedAgent } from '../../datastore/agent-rows.ts';
import { PermissionDeniedDetails, PermissionDeniedDetails_Reason as Reason } from '../../gen/spire/api/types/types.ts';
import type { TlsPeer } from '../../rpc/peer.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { decimalSerialNumber } from '../../x509/serial-number.ts';
import { leafCertificateOf } from './leaf-certificate.ts';
import type { RecentAgents } from './recent-agents.ts';

/**
 * The agent behind a TLS connection: attested, not banned, and with the SVID that was issued to it last or
 * the one before. The first call with a renewed SVID retires the one before.
 *
 * @param recent agents that count as they were a little while ago; absent: none do.
 * @throws SpiffeError `PERMISSION_DENIED` with the details that tell an agent what to do.
 */
export async function requireAgent(
  peer: TlsPeer,
  agents: AgentRepository,
  now: Date,
  recent?: RecentAgents,
): Promise<AttestedAgent> {
  const certificate = peer.spiffeId === undefined ? undefined : leafCertificateOf(peer);
  if (peer.spiffeId === undefined || certificate === undefined) {
    throw new SpiffeError('PERMISSION_DENIED', 'the caller is not an agent: it showed no X.509-SVID');
  }
  if (certificate.notAfter <= now) {
    throw denied(`the X.509-SVID of agent "${peer.spiffeId}" has expired`, Reason.AGENT_EXPIRED);
  }
  const { spiffeId } = peer;
  const serialNumber = decimalSerialNumber(certificate.serialNumber);
  const known = recent?.find(spiffeId);
  if (known !== undefined && !known.banned && known.serialNumber === serialNumber) return known;
  const read = () => agents.find(spiffeId); // also where what is known would refuse
  const agent = await (recent?.readThrough(read) ?? read());
  if (agent === undefined) {
    throw denied(`agent "${peer.spiffeId}" is not attested`, Reason.AGENT_NOT_ATTESTED);
  }
  if (agent.banned) throw denied(`agent "${peer.spiffeId}" is banned`, Reason.AGENT_BANNED);
  if (serialNumber === agent.serialNumber) return agent;
  if (agent.newSerialNumber !== '' && serialNumber === agent.newSerialNumber) {
    const used = await agents.useRenewed(agent.spiffeId, serialNumber);
    if (!used.banned && used.serialNumber === serialNumber) return used;
  }
  throw denied(
    `agent "${peer.spiffeId}" is not active with the X.509-SVID it showed: another one was issued since`,
    Reason.AGENT_NOT_ACTIVE,
  );
}

/** A refusal with the reason that agents act on. */
export function denied(message: string, reason: PermissionDeniedDetails['reason']): SpiffeError {
  const value = PermissionDeniedDetails.encode({ reason }).finish();
  return new SpiffeError('PERMISSION_DENIED', message, {
    details: [{ typeUrl: 'type.googleapis.com/spire.api.types.PermissionDeniedDetails', value }],
  });
}

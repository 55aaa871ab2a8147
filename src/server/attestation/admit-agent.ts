import type { AgentRepository, AttestedAgent } from '../../datastore/agent-repository.ts';
import type { Datastore, Repositories } from '../../datastore/datastore.ts';
import { PermissionDeniedDetails_Reason as Reason } from '../../gen/spire/api/types/types.ts';
import type { Logger } from '../../log/logger.ts';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { decimalSerialNumber } from '../../x509/serial-number.ts';
import { denied } from '../authorization/agent-caller.ts';
import type { IssuedX509Svid, SvidIssuer } from '../ca/svid-issuer.ts';
import type { AttestedLeg, AttestedNode } from './attestors.ts';
import { withOwnSelector } from './own-selector.ts';

export interface AdmissionOptions {
  readonly agents: AgentRepository;
  readonly transaction: Datastore['transaction'];
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
  { agents, transaction, issuer, agentTtlSeconds, agentIdAsSelector, log }: AdmissionOptions,
): Promise<IssuedX509Svid> {
  const { spiffeId, canReattest, claim, legs = [] } = node;
  const selectors = withOwnSelector(node.selectors, spiffeId, agentIdAsSelector);
  const before = await agents.find(spiffeId);
  if (before?.banned && claim !== undefined) await transaction(claim); // what it showed is used up all the same
  requireNotBanned(before);
  for (const known of await agents.findMany(legs.map((leg) => leg.spiffeId))) requireNotBanned(known);
  const svid = await issuer.issueX509({ spiffeId, publicKey, dnsNames: [], ttlSeconds: agentTtlSeconds });
  const record = {
    attestationType,
    serialNumber: decimalSerialNumber(svid.serialNumber),
    expiresAt: svid.expiresAt,
    canReattest,
    selectors,
  };
  await transaction(async (repositories) => {
    await claim?.(repositories);
    for (const leg of legs) if (leg.isOnce) await rememberLeg(leg, repositories, svid.expiresAt);
    const known = await repositories.agents.find(spiffeId);
    requireNotBanned(known); // nor has it been meanwhile
    if (known === undefined) await repositories.agents.create({ spiffeId, ...record });
    else await repositories.agents.update(spiffeId, { ...record, newSerialNumber: '', newExpiresAt: 0 });
  });
  log.info('agent attested', { agent_id: spiffeId, attestor: attestationType, expires_at: svid.expiresAt });
  return svid;
}

/** Another attestation with the same machine is refused by the attestor itself, which asks for an agent of this ID. */
async function rememberLeg(leg: AttestedLeg, { agents }: Repositories, expiresAt: number): Promise<void> {
  const { spiffeId, attestationType, selectors } = leg;
  try {
    await agents.create({ spiffeId, attestationType, selectors, expiresAt, serialNumber: '', canReattest: false });
  } catch (cause) {
    if (!isSpiffeError(cause, 'ALREADY_EXISTS')) throw cause;
    throw new SpiffeError(
      'PERMISSION_DENIED',
      `what "${spiffeId}" is named for has attested already: "assayer server agent evict -spiffeID ${spiffeId}" lets it in again`,
      { cause },
    );
  }
}

function requireNotBanned(agent: AttestedAgent | undefined): void {
  if (agent?.banned) throw denied(`failed to attest: agent "${agent.spiffeId}" is banned`, Reason.AGENT_BANNED);
}

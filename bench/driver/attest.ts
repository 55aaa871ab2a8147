import {
  AgentDefinition,
  AttestAgentRequest,
  type AttestAgentResponse_Result as AttestationResult,
} from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import type { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import type { TlsIdentity } from '../../src/rpc/tls-identity.ts';
import { createKeyAndCsr, openTls } from './connections.ts';
import type { Target } from './job.ts';

export interface Evidence {
  readonly type: string;
  readonly payload: Uint8Array;
  answer(challenge: Uint8Array): Uint8Array;
}

export interface AttestedAgent {
  /** Path of its SPIFFE ID. */
  readonly path: string;
  readonly identity: TlsIdentity;
}

/** Attests a node over a connection of its own, with a key that is new. @param evidence for the CSR's public key */
export async function attest(target: Target, evidence: (publicKey: Uint8Array) => Evidence): Promise<AttestedAgent> {
  const { privateKey, publicKey, csr } = await createKeyAndCsr();
  using channel = openTls(target);
  const { path, certificates } = await attestOver(channel, csr, evidence(publicKey));
  return { path, identity: { certificates, privateKey } };
}

/** Attests a node over a connection that is there. */
export async function attestOver(
  channel: RpcChannel,
  csr: Uint8Array,
  { type, payload, answer }: Evidence,
): Promise<Pick<AttestedAgent, 'path'> & Pick<TlsIdentity, 'certificates'>> {
  await using call = createClient(AgentDefinition, channel).attestAgent();
  await call.send(
    AttestAgentRequest.fromPartial({ step: { $case: 'params', value: { data: { type, payload }, params: { csr } } } }),
  );
  let result: AttestationResult | undefined;
  while (result === undefined) {
    const step = (await call.receive())?.step;
    if (step === undefined) throw new Error('the attestation ended without a result');
    if (step.$case === 'result') result = step.value;
    else await call.send({ step: { $case: 'challengeResponse', value: answer(step.value) } });
  }
  call.end();
  await call.receive(); // its end: a call that is left before is one that was reset, of which a server takes only so many
  const { id, certChain: certificates = [] } = result.svid ?? {};
  return { path: id?.path ?? '', certificates };
}

/** With a join token that is got on the admin socket. */
export async function attestWithToken(target: Target, admin: RpcChannel): Promise<AttestedAgent> {
  const request = { ttl: 600, token: '', agentId: undefined };
  const { value } = await createClient(AgentDefinition, admin).createJoinToken(request);
  return await attest(target, () => ({
    type: 'join_token',
    payload: Buffer.from(value),
    answer: () => {
      throw new Error('a join token is not challenged');
    },
  }));
}

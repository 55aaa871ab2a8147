import { AgentDefinition, AttestAgentRequest } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { type BidiCall, createClient } from '../../src/rpc/client.ts';
import { createSpiffeCredentials } from '../../src/rpc/tls-client.ts';
import { serverId } from '../../src/spiffe/spiffe-id.ts';
import type { TestServer } from '../harness/running-server.ts';

/** An agent's side of AttestAgent, message by message. */
export interface Exchange {
  readonly type?: string;
  readonly payload: Uint8Array;
  readonly csr: Uint8Array;
  answer(challenge: Uint8Array): Promise<Uint8Array>;
}

/** What the server sent. */
export interface Attested {
  readonly challenges: readonly Uint8Array[];
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly agentId: string;
  readonly reattestable: boolean;
}

const DEADLINE_MS = 20_000;

/** A connection to the server's TCP endpoint, as an agent without identity has. */
export function connectToServer(server: TestServer): RpcChannel {
  const { running } = server;
  const credentials = createSpiffeCredentials({
    expectedId: serverId(running.bundle.trustDomain),
    bundle: () => running.bundle,
  });
  return RpcChannel.open(`dns:///127.0.0.1:${running.port}`, credentials);
}

export function openAttestation(channel: RpcChannel): BidiCall<AttestAgentRequest, unknown> {
  return createClient(AgentDefinition, channel).attestAgent({ deadlineMs: DEADLINE_MS });
}

export function paramsOf({ type = 'tpm', payload, csr }: Omit<Exchange, 'answer'>): AttestAgentRequest {
  const value = { data: { type, payload }, params: { csr } };
  return AttestAgentRequest.fromPartial({ step: { $case: 'params', value } });
}

/** Has the server judge a node. @throws RemoteError for a refusal; whatever `answer` throws. */
export async function attestAgent(server: TestServer, exchange: Exchange): Promise<Attested> {
  using channel = connectToServer(server);
  return await attestOver(channel, exchange);
}

export async function attestOver(channel: RpcChannel, exchange: Exchange): Promise<Attested> {
  await using call = createClient(AgentDefinition, channel).attestAgent({ deadlineMs: DEADLINE_MS });
  await call.send(paramsOf(exchange));
  const challenges: Uint8Array[] = [];
  for (;;) {
    const step = (await call.receive())?.step;
    if (step?.$case === 'challenge') {
      challenges.push(step.value);
      await call.send({ step: { $case: 'challengeResponse', value: await exchange.answer(step.value) } });
    } else if (step?.$case === 'result' && step.value.svid?.id !== undefined) {
      const { certChain, id } = step.value.svid;
      const agentId = `spiffe://${id.trustDomain}${id.path}`;
      return { challenges, chain: certChain, agentId, reattestable: step.value.reattestable };
    } else {
      throw new Error(`the server sent ${step?.$case ?? 'nothing'}`);
    }
  }
}

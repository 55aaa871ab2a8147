import { AgentDefinition } from '../../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { RpcChannel } from '../../../src/rpc/channel.ts';
import { createClient } from '../../../src/rpc/client.ts';
import { createSpiffeCredentials } from '../../../src/rpc/tls-client.ts';
import { emptyBundle } from '../../../src/spiffe/bundle.ts';
import { parseSpiffeId } from '../../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { newCsr } from '../../server/callers.ts';

/** Lets an agent join, as a program on another host would. */
export async function attestAgent(socketPath: string, port: number, token: string): Promise<void> {
  using admin = RpcChannel.unix(socketPath);
  const { x509Authorities } = await createClient(BundleDefinition, admin).getBundle({ outputMask: undefined });
  const bundle = {
    ...emptyBundle(parseTrustDomain('example.org')),
    x509Authorities: x509Authorities.map(({ asn1, tainted }) => ({ certificate: asn1, tainted })),
  };
  const expectedId = parseSpiffeId('spiffe://example.org/spire/server');
  const credentials = createSpiffeCredentials({ expectedId, bundle: () => bundle, identity: () => undefined });
  using channel = RpcChannel.open(`dns:///127.0.0.1:${port}`, credentials);
  const { csr } = await newCsr();
  await using call = createClient(AgentDefinition, channel).attestAgent();
  const data = { type: 'join_token', payload: Buffer.from(token) };
  await call.send({ step: { $case: 'params', value: { data, params: { csr } } } });
  call.end();
  if ((await call.receive())?.step?.$case !== 'result') throw new Error('the agent was not attested');
}

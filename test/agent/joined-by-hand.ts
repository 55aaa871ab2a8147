import { generateKeyPairSync } from 'node:crypto';
import { ServerConnection, type ServerConnectionOptions } from '../../src/agent/server-api/server-connection.ts';
import type { AttestAgentRequest } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import type { TlsIdentity } from '../../src/rpc/tls-identity.ts';
import { createCsr } from '../../src/x509/csr.ts';
import { signerOfKeyObject } from '../../src/x509/signer.ts';
import type { TestDomain } from './test-domain.ts';

/** A connection without an identity of its own. */
export function anonymousConnection({ server, port }: TestDomain): ServerConnection {
  return new ServerConnection(connectionOptions(server.running.bundle, port));
}

/** What the agent of a join token says first. */
export async function joinRequest(
  token: string,
): Promise<{ privateKey: TlsIdentity['privateKey']; request: AttestAgentRequest }> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const csr = await createCsr({ signer: signerOfKeyObject(privateKey), uriNames: [] });
  const data = { type: 'join_token', payload: new Uint8Array(Buffer.from(token)) };
  return { privateKey, request: { step: { $case: 'params', value: { data, params: { csr } } } } };
}

/** The connection of an agent that has joined, with its key in memory. */
export async function joinByHand(domain: TestDomain): Promise<ServerConnection> {
  using anonymous = anonymousConnection(domain);
  const { privateKey, request } = await joinRequest(await domain.createToken());
  const step = await anonymous.run(async ({ agent }) => {
    await using call = agent.attestAgent({ deadlineMs: 10_000 });
    await call.send(request);
    return (await call.receive())?.step;
  });
  if (step?.$case !== 'result') throw new Error('not attested');
  const identity = { certificates: step.value.svid?.certChain ?? [], privateKey };
  const options = connectionOptions(domain.server.running.bundle, domain.port);
  return new ServerConnection({ ...options, identity: () => identity });
}

function connectionOptions(
  bundle: ReturnType<ServerConnectionOptions['bundle']>,
  port: number,
): ServerConnectionOptions {
  return { address: '127.0.0.1', port, trustDomain: bundle.trustDomain, requirePqKem: false, bundle: () => bundle };
}

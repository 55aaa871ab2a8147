import { createHash } from 'node:crypto';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { SpiffeWorkloadAPIDefinition } from '../../src/gen/workload/workload.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { createSpiffeCredentials } from '../../src/rpc/tls-client.ts';
import { emptyBundle } from '../../src/spiffe/bundle.ts';
import { serverId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import type { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { SoftwareProver } from '../harness/software-prover.ts';
import { attestOver } from './attest-agent.ts';
import type { Deployment } from './deployment.ts';
import type { Call } from './steady-load.ts';
import { newCsrKey } from './tpm-node.ts';

const TRUST_DOMAIN = parseTrustDomain('example.org');
const WORKLOAD_CALL = { metadata: { 'workload.spiffe.io': 'true' }, deadlineMs: 30_000 };

/** What administrators ask the server for: each call needs a signature of the key manager. */
export async function adminCalls(
  deployment: Deployment,
  resources: DisposableStack,
): Promise<Readonly<Record<'mint-x509' | 'mint-jwt', Call>>> {
  const svids = createClient(SVIDDefinition, resources.use(RpcChannel.unix(deployment.adminSocket)));
  const { csr } = await newCsrKey('spiffe://example.org/minted');
  const id = { trustDomain: TRUST_DOMAIN, path: '/minted' };
  return {
    'mint-x509': () => svids.mintX509SVID({ csr, ttl: 0 }),
    'mint-jwt': () => svids.mintJWTSVID({ id, audience: ['audience'], ttl: 0 }),
  };
}

/** What this process asks the agent for: each call has it attested anew. */
export function workloadCalls(
  deployment: Deployment,
  resources: DisposableStack,
): Readonly<Record<'fetch-x509' | 'fetch-jwt', Call>> {
  const api = createClient(SpiffeWorkloadAPIDefinition, resources.use(RpcChannel.unix(deployment.workloadSocket)));
  return {
    'fetch-x509': async () => {
      await using updates = api.fetchX509SVID({}, WORKLOAD_CALL);
      if (((await updates.receive())?.svids.length ?? 0) === 0) throw new Error('no X.509-SVID');
    },
    'fetch-jwt': () => api.fetchJWTSVID({ audience: ['audience'], spiffeId: '' }, WORKLOAD_CALL),
  };
}

/** A node whose TPM is OpenSSL keys, again and again. */
export function attestByTpm(
  deployment: Deployment,
  tpm: SoftwareTpm,
  ekCertificates: readonly Uint8Array[],
  resources: DisposableStack,
): Call {
  const channel = resources.use(connectTo(deployment));
  return async () => {
    const { csr, publicKey } = await newCsrKey();
    const prover = new SoftwareProver(tpm, publicKey, ekCertificates);
    const answer = async (challenge: Uint8Array) => prover.answer(challenge);
    return await attestOver(channel, { payload: prover.encodedPayload(), csr, answer });
  };
}

/** A node that the Go attestor of test/interop/go-plugins believes, again and again. */
export function attestByDigest(deployment: Deployment, resources: DisposableStack): Call {
  const channel = resources.use(connectTo(deployment));
  const payload = Buffer.from('some-node');
  return async () => {
    const { csr } = await newCsrKey();
    const answer = async (challenge: Uint8Array) =>
      new Uint8Array(createHash('sha256').update(challenge).update(payload).digest());
    return await attestOver(channel, { type: 'go_digest', payload, csr, answer });
  };
}

function connectTo({ serverPort }: Deployment): RpcChannel {
  const credentials = createSpiffeCredentials({
    expectedId: serverId(TRUST_DOMAIN),
    bundle: () => emptyBundle(TRUST_DOMAIN),
    insecureBootstrap: true,
  });
  return RpcChannel.open(`dns:///127.0.0.1:${serverPort}`, credentials);
}

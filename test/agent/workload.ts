import { SpiffeWorkloadAPIDefinition, type X509SVIDResponse } from '../../src/gen/workload/workload.ts';
import type { CallOptions, Client, ServerStreamCall } from '../../src/rpc/client.ts';
import { RemoteError } from '../../src/rpc/status.ts';
import type { TestAgent } from '../harness/running-agent.ts';

/** What every call of the Workload API carries, and the longest a test waits for it. */
export const AS_WORKLOAD: CallOptions = { metadata: { 'workload.spiffe.io': 'true' }, deadlineMs: 20_000 };

export function workloadApi(agent: TestAgent): Client<typeof SpiffeWorkloadAPIDefinition> {
  return agent.workload(SpiffeWorkloadAPIDefinition);
}

/** The first answer of a stream, which is left then. */
export async function firstOf<Response>(stream: ServerStreamCall<Response>): Promise<Response> {
  await using _ = stream;
  const response = await stream.receive();
  if (response === undefined) throw new Error('the stream ended without an answer');
  return response;
}

export async function fetchX509(agent: TestAgent): Promise<X509SVIDResponse> {
  return await firstOf(workloadApi(agent).fetchX509SVID({}, AS_WORKLOAD));
}

/** The SPIFFE IDs that this process gets; empty where it has none. */
export async function fetchIds(agent: TestAgent): Promise<readonly string[]> {
  try {
    return (await fetchX509(agent)).svids.map(({ spiffeId }) => spiffeId);
  } catch (error) {
    if (error instanceof RemoteError && error.message === 'no identity issued') return [];
    throw error;
  }
}

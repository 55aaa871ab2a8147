import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { SpiffeWorkloadAPIDefinition, type X509SVIDResponse } from '../../src/gen/workload/workload.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient, type ServerStreamCall } from '../../src/rpc/client.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { AS_WORKLOAD, fetchIds, fetchX509, workloadApi } from '../agent/workload.ts';
import type { TestAgent } from '../harness/running-agent.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });
const WAIT = { timeout: 60_000, interval: 100 };
const PATIENT = { ...AS_WORKLOAD, deadlineMs: 100_000 };
const CONNECTIONS = 20;
/** As many as one may have. */
const STREAMS_OF_EACH = 100;

const resources = new AsyncDisposableStack();
let domain: TestDomain;
let agent: TestAgent;

beforeAll(async () => {
  domain = resources.use(await TestDomain.start());
  await domain.createEntry('/web');
  agent = resources.use(await domain.startAgent());
  await vi.waitUntil(async () => (await fetchIds(agent)).length === 1, WAIT);
});
afterAll(() => resources.disposeAsync());

const fetchToken = async (audience: string) =>
  (await workloadApi(agent).fetchJWTSVID({ audience: [audience], spiffeId: '' }, PATIENT)).svids[0]?.svid;

test('two thousand streams that end at once leave the agent to those that come after', async () => {
  const stack = new DisposableStack();
  const streams: ServerStreamCall<X509SVIDResponse>[] = [];
  for (let connection = 0; connection < CONNECTIONS; connection++) {
    const channel = stack.use(RpcChannel.unix(agent.running.socketPath));
    const api = createClient(SpiffeWorkloadAPIDefinition, channel);
    for (let stream = 0; stream < STREAMS_OF_EACH; stream++) streams.push(api.fetchX509SVID({}, PATIENT));
  }
  const answers = await Promise.all(streams.map((stream) => stream.receive()));
  expect(new Set(answers.map((answer) => answer?.svids[0]?.spiffeId))).toEqual(new Set(['spiffe://example.org/web']));
  const ended = streams.map((stream) => stream.receive().catch(() => undefined));
  stack.dispose();
  for (const stream of streams) await stream[Symbol.asyncDispose]();
  await Promise.all(ended);
  expect(await fetchIds(agent)).toEqual(['spiffe://example.org/web']);
  expect(agent.records.filter(({ level }) => level === 'error')).toEqual([]);
});

test('without the server, X.509-SVIDs and tokens that are there are handed out, and others are told why not', async () => {
  await using stream = workloadApi(agent).fetchX509SVID({}, PATIENT);
  const before = await stream.receive();
  const token = await fetchToken('kept');
  await domain.stopServer();
  await expect.poll(() => agent.messages, WAIT).toContain('the server was not synced with');
  expect((await fetchX509(agent)).svids).toEqual(before?.svids);
  expect(await fetchToken('kept')).toBe(token);
  await expect(fetchToken('other')).rejects.toThrow(
    /^could not fetch a JWT-SVID of spiffe:\/\/example\.org\/web: the server at 127\.0\.0\.1 port \d+ does not answer/,
  );
});

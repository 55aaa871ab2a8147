import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { WhyDefinition } from '../../src/gen/assayer/agent/why/v1/why.ts';
import { DiscoveryRequest } from '../../src/gen/envoy/service/discovery/v3/discovery.ts';
import { SecretDiscoveryServiceDefinition } from '../../src/gen/envoy/service/secret/v3/sds.ts';
import { DelegatedIdentityDefinition } from '../../src/gen/spire/api/agent/delegatedidentity/v1/delegatedidentity.ts';
import { SpiffeWorkloadAPIDefinition, type X509SVIDResponse } from '../../src/gen/workload/workload.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient, type ServerStreamCall } from '../../src/rpc/client.ts';
import { Status } from '../../src/spiffe/status.ts';
import { MYSELF, TestDomain } from '../agent/test-domain.ts';
import { AS_WORKLOAD, fetchIds, fetchX509, firstOf, workloadApi } from '../agent/workload.ts';
import { eventually } from '../harness/eventually.ts';
import type { TestAgent } from '../harness/running-agent.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });
const WAIT = { timeout: 60_000, interval: 100 };
const PATIENT = { ...AS_WORKLOAD, deadlineMs: 100_000 };
const TEN_MINUTES = 'agent_ttl = "2h"\n  default_x509_svid_ttl = "10m"';
const CONNECTIONS = 20;
/** As many as one may have. */
const STREAMS_OF_EACH = 100;

const resources = new AsyncDisposableStack();
let domain: TestDomain;
let agent: TestAgent;
/** The agent's clock, before the server's. */
let minutesAhead = 0;
let port: number;

beforeAll(async () => {
  domain = resources.use(await TestDomain.start({ settings: TEN_MINUTES, keysOnDisk: true }));
  ({ port } = domain);
  await domain.createEntry('/web');
  const settings = `join_token = "${await domain.createToken()}"
  admin_socket_path = "${adminSocket()}"
  authorized_delegates = ["spiffe://example.org/web"]`;
  const clock = () => new Date(Date.now() + minutesAhead * 60_000);
  agent = resources.use(await domain.startAgent('agent', { settings, clock }));
  await vi.waitUntil(async () => (await fetchIds(agent)).length === 1, WAIT);
});
afterAll(() => resources.disposeAsync());

const adminSocket = () => domain.folder.join('agent/admin/admin.sock');
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

const status = (code: Status, message: RegExp) =>
  expect.objectContaining({ status: code, message: expect.stringMatching(message) });

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

test('whose X.509-SVID has expired keeps it, and who comes is told why there is none, until the server signs again', async () => {
  await using early = workloadApi(agent).fetchX509SVID({}, PATIENT);
  const [before] = (await early.receive())?.svids ?? [];
  const next = early.receive();
  minutesAhead = 11;
  const refusal = status(
    Status.Unavailable,
    new RegExp(
      `^no X.509-SVID of spiffe://example.org/web is there that is valid, and since \\S+Z none can be had from the server at 127.0.0.1 port ${port}: .* does not answer`,
    ),
  );
  await expect(fetchX509(agent)).rejects.toEqual(refusal);

  const wanted = DiscoveryRequest.fromPartial({ resourceNames: ['default'] });
  const secrets = agent.workload(SecretDiscoveryServiceDefinition);
  await expect(secrets.fetchSecrets(wanted, PATIENT)).rejects.toEqual(refusal);
  await using proxy = secrets.streamSecrets(PATIENT);
  await proxy.send(wanted);
  await expect(proxy.receive()).rejects.toEqual(refusal);

  using admin = RpcChannel.unix(adminSocket());
  const delegated = createClient(DelegatedIdentityDefinition, admin);
  const subscription = delegated.subscribeToX509SVIDs({ selectors: [MYSELF], pid: 0 }, PATIENT);
  await expect(firstOf(subscription)).rejects.toEqual(refusal);

  const { bundles } = await firstOf(workloadApi(agent).fetchX509Bundles({}, PATIENT));
  expect(Object.keys(bundles)).toEqual(['spiffe://example.org']);

  const { findings } = await agent.workload(WhyDefinition).explainWorkload({ pid: 0, spiffeId: '' }, PATIENT);
  expect(findings.map(({ code }) => code)).toEqual(['SERVER_AWAY', 'SVID_MISSING']);
  expect(findings[1]?.text).toMatch(/its X\.509-SVID expired at \S+Z: the server is needed to sign one/);
  const logged = () => agent.records.find(({ message }) => message === 'a workload got no identity')?.fields;
  await expect.poll(logged, WAIT).toMatchObject({ codes: 'SERVER_AWAY SVID_MISSING' });

  // Another sync that fails is no news to who has an answer.
  const failures = () => agent.messages.filter((message) => message === 'the server was not synced with').length;
  const failedBefore = failures();
  await expect.poll(failures, WAIT).toBeGreaterThan(failedBefore);

  // What it signs has expired by the agent's clock.
  await domain.startServer({ settings: TEN_MINUTES, port });
  const refusedNow = status(Status.Unavailable, /^no X.509-SVID .*none could be had from the server at .* expired/);
  await eventually(() => expect(fetchX509(agent)).rejects.toEqual(refusedNow), WAIT.timeout);
  minutesAhead = 6;
  const [renewed] = (await next)?.svids ?? [];
  expect(renewed?.spiffeId).toBe('spiffe://example.org/web');
  expect(renewed?.x509Svid).not.toEqual(before?.x509Svid);
  expect((await fetchX509(agent)).svids).toEqual([renewed]);
});

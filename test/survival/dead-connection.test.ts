import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { SpiffeWorkloadAPIDefinition } from '../../src/gen/workload/workload.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { CutNetwork } from '../chaos/cut-network.ts';
import { Deployment } from '../e2e/deployment.ts';
import type { Program } from '../e2e/program.ts';
import { askForX509 } from '../e2e/workload-process.ts';

// Server and agent with a network between them that can be cut. Network namespaces need root.

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });
const AS_WORKLOAD = { metadata: { 'workload.spiffe.io': 'true' }, deadlineMs: 60_000 };
const ESTABLISHED = '01';
/** Less than the deadline of a call, which is 30 s. */
const WELL_BEFORE_DEADLINE_MS = 20_000;
const WAIT = { timeout: 60_000, interval: 100 };
const isRoot = process.getuid?.() === 0;

const resources = new AsyncDisposableStack();
let network: CutNetwork;
let deployment: Deployment;
let server: Program;
let agent: Program;

beforeAll(async () => {
  if (!isRoot) return;
  network = resources.use(await CutNetwork.create());
  deployment = resources.use(await Deployment.create({ network }));
  server = await deployment.startServer();
  await deployment.entitle();
  agent = await deployment.startAgent();
  await vi.waitUntil(async () => 'x509' in (await askForX509(deployment.workloadSocket)), WAIT);
});
afterAll(() => resources.disposeAsync());

test.runIf(isRoot)('a server that ends while the network is cut leaves no call waiting for its deadline', async () => {
  using channel = RpcChannel.unix(deployment.workloadSocket);
  const workload = createClient(SpiffeWorkloadAPIDefinition, channel);
  const fetchToken = () => workload.fetchJWTSVID({ audience: ['audience'], spiffeId: '' }, AS_WORKLOAD);
  server.signal('SIGSTOP'); // its machine takes calls in, and it answers none
  const fetching = fetchToken().then(
    () => expect.unreachable('it had an answer'),
    (error: Error) => error.message,
  );
  await vi.waitUntil(() => hasUnread(server.pid), WAIT);
  await network.cut('silent');
  await server.kill();
  const cutAt = performance.now();
  await network.restore();
  expect(await fetching).toMatch(/could not fetch a JWT-SVID of spiffe:.* the server at .* does not answer/);
  expect(performance.now() - cutAt).toBeLessThan(WELL_BEFORE_DEADLINE_MS);
  await deployment.startServer();
  await vi.waitUntil(() => fetchToken().catch(() => undefined), WAIT);
  expect(agent.hasExited).toBe(false);
});

/** Whether a TCP connection in the network namespace of that process has data that nobody has read. Source: proc_pid_net(5). */
function hasUnread(pid: number): boolean {
  const [, ...sockets] = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').trim().split('\n');
  return sockets.some((line) => {
    const [, , , state, queues = ''] = line.trim().split(/\s+/);
    return state === ESTABLISHED && !queues.endsWith(':00000000');
  });
}

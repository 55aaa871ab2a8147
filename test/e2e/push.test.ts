import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ExplainDefinition } from '../../src/gen/assayer/server/explain/v1/explain.ts';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Bundle, Entry } from '../../src/gen/spire/api/types/types.ts';
import { SpiffeWorkloadAPIDefinition, type X509SVIDResponse } from '../../src/gen/workload/workload.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient, type ServerStreamCall } from '../../src/rpc/client.ts';
import { AS_WORKLOAD } from '../agent/workload.ts';
import { x509Authority } from '../datastore/fixtures.ts';
import { PostgresServer } from '../harness/postgres-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { Program } from './program.ts';
import { ServerProcess } from './server-process.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 180_000 });

const SOON = { timeout: 60_000, interval: 100 };
const stack = new AsyncDisposableStack();
let folder: TemporaryFolder;
/** Where everything is written, and where the agent is. */
let a: ServerProcess;
let b: ServerProcess;
let agent: Program;
let agentId: string;
let stream: ServerStreamCall<X509SVIDResponse>;

const id = (path: string) => ({ trustDomain: 'example.org', path });

/** Asks by itself once an hour: what it knows earlier, it was told. */
const agentConf = (token: string) => `agent {
  trust_domain = "example.org"
  data_dir = "${folder.join('data')}"
  server_address = "127.0.0.1"
  server_port = ${b.port}
  socket_path = "${folder.join('agent.sock')}"
  trust_bundle_path = "${folder.join('bundle.pem')}"
  join_token = "${token}"
  log_format = "json"
  experimental { sync_interval = "1h" }
}
plugins {
  KeyManager "memory" {}
  NodeAttestor "join_token" {}
  WorkloadAttestor "unix" {}
}
`;

beforeAll(async () => {
  folder = stack.use(await createTemporaryFolder());
  const postgres = stack.use(await PostgresServer.start());
  [a, b] = (await Promise.all(
    [0, 1].map(async () => stack.use(await ServerProcess.start(postgres.connectionString()))),
  )) as [ServerProcess, ServerProcess];
  const hasBoth = async () => (await b.bundlePem()).split('BEGIN CERTIFICATE').length - 1 === 2;
  await vi.waitUntil(hasBoth, SOON);
  await writeFile(folder.join('bundle.pem'), await b.bundlePem());
  await a.createEntry('/always');
  await writeFile(folder.join('agent.conf'), agentConf(await a.createToken()));
  agent = stack.use(await Program.start(['agent', 'run', '-config', folder.join('agent.conf')], folder.path));
  agentId = String((await agent.waitFor('agent is ready')).spiffe_id);
  const channel = stack.adopt(RpcChannel.unix(folder.join('agent.sock')), (opened) => opened[Symbol.dispose]());
  const api = createClient(SpiffeWorkloadAPIDefinition, channel);
  stream = stack.use(api.fetchX509SVID({}, { ...AS_WORKLOAD, deadlineMs: 180_000 }));
  await nextWith('/always');
  // Its agent listens by now.
  const isListening = async () => (await b.admin(ExplainDefinition, explainAgent)).agent?.watching === true;
  await vi.waitUntil(isListening, SOON);
});
afterAll(() => stack.disposeAsync());

const explainAgent = (api: ReturnType<typeof createClient<typeof ExplainDefinition>>) =>
  api.explainEntries({ spiffeId: undefined, agentId: id(agentId.slice('spiffe://example.org'.length)), selectors: [] });

async function next(isIt: (answer: X509SVIDResponse) => boolean): Promise<X509SVIDResponse> {
  for (;;) {
    const answer = await stream.receive();
    if (answer === undefined) throw new Error('the stream of the workload ended');
    if (isIt(answer)) return answer;
  }
}

const has = (path: string) => (answer: X509SVIDResponse) =>
  answer.svids.some(({ spiffeId }) => spiffeId === `spiffe://example.org${path}`);
const nextWith = (path: string) => next(has(path));

test('an entry of one server comes to the workload at the other, and goes', async () => {
  const created = await a.createEntry('/pushed');
  await nextWith('/pushed');
  await a.admin(EntryDefinition, (api) => api.batchDeleteEntry({ ids: [created] }));
  await next((answer) => !has('/pushed')(answer));
});

test('a federated bundle that changes at one server comes to the workload at the other', async () => {
  const set = async (days: number) => {
    const { certificate: der } = (await x509Authority(days)).authority;
    const bundle = Bundle.fromPartial({ trustDomain: 'b.test', x509Authorities: [{ asn1: der }] });
    const { results } = await a.admin(BundleDefinition, (api) =>
      api.batchSetFederatedBundle({ bundle: [bundle], outputMask: undefined }),
    );
    expect(results[0]?.status?.code).toBe(0);
    return Buffer.from(der).toString('hex');
  };
  const first = await set(10);
  const entry = Entry.fromPartial({
    spiffeId: id('/federated'),
    parentId: id('/node'),
    selectors: [{ type: 'unix', value: `uid:${process.getuid?.()}` }],
    federatesWith: ['b.test'],
  });
  await a.admin(EntryDefinition, (api) => api.batchCreateEntry({ entries: [entry], outputMask: undefined }));
  const bundleIs = (hex: string) => (answer: X509SVIDResponse) =>
    Buffer.from(answer.federatedBundles['spiffe://b.test'] ?? []).toString('hex') === hex;
  await next(bundleIs(first));
  const second = await set(20);
  await next(bundleIs(second));
});

test('the server that told an agent knows that an entry has reached it, and the other that it does not know', async () => {
  await a.createEntry('/reached');
  await nextWith('/reached');
  const reached = async (server: ServerProcess) => {
    const { entries } = await server.admin(ExplainDefinition, (api) =>
      api.explainEntries({ spiffeId: id('/reached'), agentId: undefined, selectors: [] }),
    );
    return entries[0]?.holders[0]?.reached;
  };
  expect(await reached(b)).toBe(2);
  expect(await reached(a)).toBe(0);
});

test('an agent that is banned at one server ends at the other', async () => {
  const path = agentId.slice('spiffe://example.org'.length);
  await a.admin(AgentDefinition, (api) => api.banAgent({ id: id(path) }));
  expect((await agent.exited).code).toBe(1);
  expect(agent.output).toContain('the server has banned this agent');
});

import { afterEach, beforeEach, expect, test } from 'vitest';
import { HealthDefinition } from '../../src/gen/grpc/health/v1/health.ts';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { Status } from '../../src/spiffe/status.ts';
import { validateX509Svid } from '../../src/spiffe/x509-svid.ts';
import { TestServer } from '../harness/running-server.ts';
import { shownSerialOverHttp2 } from '../harness/shown-certificate.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { attestByJoinToken, mintedCaller, newCsr, TlsCaller } from './callers.ts';

// A server that runs: what the time does to it.
let folder: TemporaryFolder;

beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const outputMask = undefined;
const post = { agentVersion: '', currentBundleSerial: 0n };
const DEADLINE = { timeout: 20_000, interval: 50 };

test("the server's SVID changes at half of its life, and connections stay (B004)", async () => {
  const settings = 'default_x509_svid_ttl = "2s"\n agent_ttl = "1h"';
  await using server = await TestServer.start({ folder: folder.path, settings });
  const { port } = server.running;
  using agent = await attestByJoinToken(server);
  await using stream = agent.client(AgentDefinition).attestAgent();
  const first = await shownSerialOverHttp2(port);
  await agent.client(AgentDefinition).postStatus(post);
  const seen = new Set([first]);
  await expect.poll(async () => seen.add(await shownSerialOverHttp2(port)).size, DEADLINE).toBe(4);
  await agent.client(AgentDefinition).postStatus(post);
  stream.end();
  await expect(stream.receive()).rejects.toMatchObject({ status: Status.InvalidArgument }); // not cut off
  using later = new TlsCaller(server);
  await later.client(BundleDefinition).getBundle({ outputMask });
});

test('authorities follow one another by themselves, and what they sign verifies throughout (B001)', async () => {
  await using server = await TestServer.start({ folder: folder.path, settings: 'ca_ttl = "6s"' });
  using agent = await attestByJoinToken(server);
  await agent.client(AgentDefinition).postStatus(post);
  const [first] = server.running.bundle.x509Authorities;
  const activated = () => server.records.filter(({ message }) => message === 'X.509 authority activated').length;
  await expect
    .poll(async () => {
      const { csr } = await newCsr({ uriNames: ['spiffe://example.org/web'] });
      const { svid } = await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 });
      validateX509Svid(svid?.certChain ?? [], server.running.bundle, new Date());
      return activated();
    }, DEADLINE)
    .toBe(3);
  expect(server.running.bundle.x509Authorities).toContainEqual(first);
  using caller = await mintedCaller(server, '/late');
  const bundle = await caller.client(BundleDefinition).getBundle({ outputMask });
  expect(bundle.x509Authorities.length).toBeGreaterThan(2);
  expect(bundle.sequenceNumber).toBe(server.running.bundle.sequenceNumber);
  await expect(agent.client(AgentDefinition).postStatus(post)).rejects.toMatchObject({
    status: Status.PermissionDenied, // the first authority has ended, and with it what it signed
  });
  expect(server.records.filter(({ level }) => level === 'error')).toEqual([]);
});

test('a start and a stop with calls that are open', async () => {
  const server = await TestServer.start({ folder: folder.path });
  using anonymous = new TlsCaller(server);
  const watch = server.admin(HealthDefinition).watch({ service: '' });
  await watch.receive();
  const attestation = anonymous.client(AgentDefinition).attestAgent();
  const ended = Promise.allSettled([attestation.receive(), watch.receive()]);
  await anonymous.client(BundleDefinition).getBundle({ outputMask });
  const before = performance.now();
  await server[Symbol.asyncDispose]();
  expect(performance.now() - before).toBeLessThan(5_000);
  await ended;
});

test('a key manager that dies and starts again without its keys gets new ones', async () => {
  await using server = await TestServer.start({ folder: folder.path });
  using agent = await attestByJoinToken(server);
  const [first] = server.running.bundle.x509Authorities;
  const [plugin] = server.running.plugins;
  if (plugin?.pid === undefined) throw new Error('the key manager has no process');
  process.kill(plugin.pid, 'SIGKILL');
  const { csr } = await newCsr({ uriNames: ['spiffe://example.org/web'] });
  const mint = () => server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 });
  await expect.poll(() => mint().then(({ svid }) => svid?.certChain.length), DEADLINE).toBe(1);
  const { svid } = await mint();
  validateX509Svid(svid?.certChain ?? [], server.running.bundle, new Date());
  await server.admin(SVIDDefinition).mintJWTSVID({ id: svid?.id, audience: ['a'], ttl: 0 });
  const { x509Authorities, jwtAuthorities } = server.running.bundle;
  expect([x509Authorities.length, jwtAuthorities.length]).toEqual([2, 2]);
  expect(x509Authorities).toContainEqual(first);
  await agent.client(AgentDefinition).postStatus(post);
  await expect.poll(() => server.admin(HealthDefinition).check({ service: '' }), DEADLINE).toEqual({ status: 1 });
});

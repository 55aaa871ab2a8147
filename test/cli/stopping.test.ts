import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import { HealthDefinition } from '../../src/gen/grpc/health/v1/health.ts';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { SpiffeWorkloadAPIDefinition } from '../../src/gen/workload/workload.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { RemoteError } from '../../src/rpc/status.ts';
import { createSpiffeCredentials } from '../../src/rpc/tls-client.ts';
import { parseBundlePem } from '../../src/spiffe/bundle-document.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { Status } from '../../src/spiffe/status.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { eventually } from '../harness/eventually.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { isGone } from '../plugin-host/is-gone.ts';
import { newCsr } from '../server/callers.ts';
import { AgentProcess } from './agent-process.ts';
import { ServerProcess } from './server-process.ts';

vi.setConfig({ testTimeout: 60_000 });

const ATTESTOR = fileURLToPath(new URL('../plugin-host/sdk-attestor.ts', import.meta.url));
/** The promise is 10 s from the signal; the time of a busy machine to notice is not ours. */
const PROMISED_MS = 10_000;

const isUnavailable = (error: unknown) => error instanceof RemoteError && error.status === Status.Unavailable;

/** Processes that `pid` started, and those that they did. */
async function descendantsOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const children = text.split(' ').filter(Boolean).map(Number);
  return [...children, ...(await Promise.all(children.map(descendantsOf))).flat()];
}

/** Anonymous, over TLS. */
async function openTls(server: ServerProcess, trustDomain = parseTrustDomain('example.org')): Promise<RpcChannel> {
  const bundle = parseBundlePem((await server.run(['bundle', 'show'])).stdout, trustDomain);
  const expectedId = parseSpiffeId('spiffe://example.org/spire/server');
  const credentials = createSpiffeCredentials({ expectedId, bundle: () => bundle, identity: () => undefined });
  return RpcChannel.open(`dns:///127.0.0.1:${server.port}`, credentials);
}

function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(!socket.destroy()));
    socket.once('error', () => resolve(true));
  });
}

test('a server lets no one in, ends streams, lets a call end, and ends its plugins', async () => {
  await using folder = await createTemporaryFolder();
  await writeFile(folder.join('attestor.sh'), `#!/bin/sh\nexec ${process.execPath} ${ATTESTOR}\n`, { mode: 0o755 });
  const plugins = `KeyManager "memory" {}
  NodeAttestor "sdk" { plugin_cmd = "${folder.path}/attestor.sh" plugin_data {} }`;
  await using server = await ServerProcess.start({ folder: folder.path, plugins });
  const { port } = server;
  using tls = await openTls(server);
  using admin = RpcChannel.unix(server.socketPath);
  await using watch = createClient(HealthDefinition, admin).watch({ service: '' });
  await watch.receive();
  const { csr } = await newCsr();
  await using attestation = createClient(AgentDefinition, tls).attestAgent();
  const data = { type: 'sdk', payload: Buffer.from('node') };
  await attestation.send({ step: { $case: 'params', value: { data, params: { csr } } } });
  expect((await attestation.receive())?.step?.$case).toBe('challenge');
  const started = await descendantsOf(server.program.pid);
  expect(started.length).toBeGreaterThanOrEqual(2);

  server.program.signal('SIGTERM');
  await expect(watch.receive()).rejects.toSatisfy(isUnavailable);
  await expect.poll(() => isRefused(port)).toBe(true);
  expect(existsSync(server.socketPath)).toBe(false);
  await attestation.send({ step: { $case: 'challengeResponse', value: Buffer.from('me') } });
  attestation.end();
  // The attestor asks the host for an agent that is not there: its refusal has come all the way.
  await expect(attestation.receive()).rejects.toMatchObject({ message: expect.stringContaining('no attested agent') });
  expect(await server.program.ended()).toBe(0);
  expect(server.program.text).toContain('msg="stopped"');
  expect(started.filter((pid) => !isGone(pid))).toEqual([]);
});

test('a server whose key manager hangs ends within ten seconds all the same, with whoever waits for it', async () => {
  await using folder = await createTemporaryFolder();
  await using server = await ServerProcess.start({ folder: folder.path });
  using admin = RpcChannel.unix(server.socketPath);
  const { csr } = await newCsr({ uriNames: ['spiffe://example.org/web'] });
  const started = await descendantsOf(server.program.pid);
  for (const pid of started) process.kill(pid, 'SIGSTOP');
  const minted = createClient(SVIDDefinition, admin).mintX509SVID({ csr, ttl: 0 });
  const outcome = expect(minted).rejects.toSatisfy(isUnavailable);
  await expect.poll(async () => (await readFile(`/proc/${server.program.pid}/stat`, 'utf8')).length).toBeGreaterThan(0);
  const startedAt = performance.now();
  expect(await server.program.stop()).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(PROMISED_MS);
  await outcome;
  await expect.poll(() => started.filter((pid) => !isGone(pid))).toEqual([]); // the kernel takes a moment to end what it killed
});

test('who signals a second time means now', async () => {
  await using folder = await createTemporaryFolder();
  await using server = await ServerProcess.start({ folder: folder.path });
  const started = await descendantsOf(server.program.pid);
  for (const pid of started) process.kill(pid, 'SIGSTOP');
  server.program.signal('SIGTERM');
  await server.program.waitFor('msg="stopping"');
  const startedAt = performance.now();
  server.program.signal('SIGTERM');
  expect(await server.program.ended()).toBe(128 + 15);
  expect(performance.now() - startedAt).toBeLessThan(1_500);
  await expect.poll(() => started.filter((pid) => !isGone(pid))).toEqual([]);
});

test('an agent ends its workloads’ streams and its plugins, one that hangs too', async () => {
  await using folder = await createTemporaryFolder();
  await using server = await ServerProcess.start({ folder: folder.path });
  await using agent = await AgentProcess.start({ folder: folder.path, server });
  const selector = ['-selector', `unix:uid:${process.getuid?.()}`];
  const ids = ['-spiffeID', 'spiffe://example.org/web', '-parentID', 'spiffe://example.org/node'];
  expect((await server.run(['entry', 'create', ...ids, ...selector])).code).toBe(0);
  using channel = RpcChannel.unix(agent.socketPath);
  const workload = createClient(SpiffeWorkloadAPIDefinition, channel);
  const metadata = { 'workload.spiffe.io': 'true' };
  const bundles = await eventually(async () => {
    const stream = workload.fetchX509SVID({}, { metadata });
    await stream.receive();
    return stream;
  }, 30_000);
  const started = await descendantsOf(agent.program.pid);
  for (const pid of started) process.kill(pid, 'SIGSTOP');
  const asked = expect(workload.fetchX509SVID({}, { metadata }).receive()).rejects.toSatisfy(isUnavailable);
  const startedAt = performance.now();
  agent.program.signal('SIGTERM');
  await expect(bundles.receive()).rejects.toSatisfy(isUnavailable);
  expect(await agent.program.ended()).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(PROMISED_MS);
  await asked;
  expect(started.filter((pid) => !isGone(pid))).toEqual([]);
});

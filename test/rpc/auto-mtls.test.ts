import { X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HealthCheckResponse_ServingStatus, HealthDefinition } from '../../src/gen/grpc/health/v1/health.ts';
import { Logger } from '../../src/log/logger.ts';
import { AutoMtls, createAutoMtls, createOneTimeIdentity } from '../../src/rpc/auto-mtls.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { bindService } from '../../src/rpc/service.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

const host = createOneTimeIdentity();
const health = bindService(HealthDefinition, {
  check: async () => ({ status: HealthCheckResponse_ServingStatus.SERVING }),
});

let folder: TemporaryFolder;
let server: RpcServer;
let listener: Server;
let plugin: AutoMtls;
beforeEach(async () => {
  folder = await createTemporaryFolder();
  server = RpcServer.create({ services: [health], log: new Logger(() => {}), graceMs: 100 });
  plugin = await createAutoMtls(host.certificatePem);
  listener = createServer((socket) => {
    plugin.acceptSocket(socket, (secured) => server.accept(secured, { kind: 'plugin' }));
  });
  await new Promise<void>((resolve) => listener.listen(folder.join('s'), resolve));
});
afterEach(async () => {
  listener.close();
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function check(channel: RpcChannel) {
  using owned = channel;
  return await createClient(HealthDefinition, owned).check({ service: 'plugin' }, { deadlineMs: 2_000 });
}

test('two ends that know each other’s certificate talk (§3)', async () => {
  const answer = await check(new AutoMtls(host, plugin.certificate).openChannel(folder.join('s')));
  expect(answer).toEqual({ status: HealthCheckResponse_ServingStatus.SERVING });
});

test('a client with another certificate is cut off', async () => {
  const stranger = new AutoMtls(createOneTimeIdentity(), plugin.certificate);
  await expect(check(stranger.openChannel(folder.join('s')))).rejects.toThrow();
});

test('a client without TLS is cut off', async () => {
  await expect(check(RpcChannel.unix(folder.join('s')))).rejects.toThrow();
});

test('a server with another certificate is not trusted', async () => {
  const misled = new AutoMtls(host, createOneTimeIdentity().certificate);
  await expect(check(misled.openChannel(folder.join('s')))).rejects.toThrow();
});

test.each([
  ['garbage', Buffer.from('garbage')],
  ['too much', new Uint8Array(20_000)],
])('%s is no certificate', (_what, certificate) => {
  expect(() => new AutoMtls(host, certificate)).toThrow(expect.objectContaining({ code: 'PLUGIN_PROTOCOL' }));
});

test('the certificate is what go-plugin’s ends take (§3)', () => {
  const certificate = new X509Certificate(host.certificate);
  expect(certificate.subject).toBe('CN=localhost');
  expect(certificate.ca).toBe(true);
  expect(certificate.checkHost('localhost')).toBe('localhost');
  expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1']);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
});

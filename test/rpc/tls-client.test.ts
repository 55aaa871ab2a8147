import { once } from 'node:events';
import { connect as connectTcp, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { ChannelCredentials } from '@grpc/grpc-js';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { HealthDefinition } from '../../src/gen/grpc/health/v1/health.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { ManagedTlsKey } from '../../src/rpc/managed-tls-key.ts';
import { createSpiffeCredentials, type SpiffeCredentialsOptions } from '../../src/rpc/tls-client.ts';
import type { TlsIdentity } from '../../src/rpc/tls-identity.ts';
import type { Bundle } from '../../src/spiffe/bundle.ts';
import { parseSpiffeId, type SpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { Status } from '../../src/spiffe/status.ts';
import { TestAuthority, type TestSvid } from '../../src/testing/test-authority.ts';
import { OID } from '../../src/x509/oids.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { TestProcess } from '../harness/child-process.ts';
import { buildGo } from '../harness/go.ts';
import { KeyManagerProcess } from '../harness/key-manager.ts';
import { describeWithGo } from '../harness/requires.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { serveTls, writePem } from '../harness/tls-service.ts';

const MODULE = new URL('../interop/tls-peer', import.meta.url).pathname;
const SERVER_ID = parseSpiffeId('spiffe://example.org/spire/server');
const AGENT = { spiffeId: 'spiffe://example.org/spire/agent/a' };

let authority: TestAuthority;
let other: TestAuthority;
let serverSvid: TestSvid;
let agentSvid: TestSvid;
beforeAll(async () => {
  authority = await TestAuthority.create();
  other = await TestAuthority.create('example.org', 'Other');
  serverSvid = await authority.issue({ spiffeId: SERVER_ID });
  agentSvid = await authority.issue(AGENT);
});

function open(port: number, options: Partial<SpiffeCredentialsOptions> = {}, host = '127.0.0.1') {
  const credentials = createSpiffeCredentials({ expectedId: SERVER_ID, bundle: () => authority.bundle(), ...options });
  const channel = RpcChannel.open(`${host}:${port}`, credentials, {
    grpc: { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 100 },
  });
  onTestFinished(() => channel[Symbol.dispose]());
  return createClient(HealthDefinition, channel);
}
const check = (client: ReturnType<typeof open>) => client.check({ service: '' }, { deadlineMs: 10_000 });
const unavailable = (reason: RegExp) =>
  expect.objectContaining({ status: Status.Unavailable, message: expect.stringMatching(reason) });

test('connects to the server by its SPIFFE ID, anonymous or with an X.509-SVID', async () => {
  const { listener, peers } = await serveTls(serverSvid, () => [authority.bundle()]);
  await check(open(listener.port));
  await check(open(listener.port, { identity: () => agentSvid }));
  expect(peers.map(({ spiffeId }) => spiffeId)).toEqual([undefined, AGENT.spiffeId]);
});

test('connects to a server below an intermediate, and over IPv6', async () => {
  const svid = await (await authority.createIntermediate()).issue({ spiffeId: SERVER_ID });
  const { listener } = await serveTls(svid, () => [], { address: '::1' });
  await check(open(listener.port, {}, '[::1]'));
});

interface Refused {
  readonly expectedId?: SpiffeId;
  readonly server: () => Promise<TestSvid>;
  readonly bundle?: () => Bundle;
  readonly reason: RegExp;
}
const PAST = { notBefore: new Date(Date.now() - 7_200_000), notAfter: new Date(Date.now() - 3_600_000) };
const refused: readonly (readonly [string, Refused])[] = [
  [
    'has another SPIFFE ID',
    { server: () => authority.issue(AGENT), reason: /the server says it is .*agent\/a, expected .*spire\/server/ },
  ],
  ['is below another root', { server: () => other.issue({ spiffeId: SERVER_ID }), reason: /no issuer of/ }],
  ['has expired', { server: () => authority.issue({ spiffeId: SERVER_ID, ...PAST }), reason: /expired at/ }],
  [
    'is for clients only',
    {
      server: () => authority.issue({ spiffeId: SERVER_ID, extendedKeyUsage: [OID.clientAuth] }),
      reason: /extended key usage without/,
    },
  ],
  ['is a CA', { server: () => authority.issue({ spiffeId: SERVER_ID, isCa: true }), reason: /is a CA certificate/ }],
  [
    'has a critical extension that nobody knows',
    { server: () => authority.issue({ spiffeId: SERVER_ID, unknownCritical: true }), reason: /critical extension/ },
  ],
];
test.each(refused)('refuses a server that %s', async (_what, { server, reason }) => {
  const { listener } = await serveTls(await server(), () => []);
  await expect(check(open(listener.port))).rejects.toThrow(unavailable(reason));
});

test('bundle and identity of the moment count at every connection', async () => {
  const { listener, peers } = await serveTls(await other.issue({ spiffeId: SERVER_ID }), () => [authority.bundle()]);
  let bundle = authority.bundle();
  let identity: TlsIdentity | undefined;
  const client = open(listener.port, { bundle: () => bundle, identity: () => identity });
  await expect(check(client)).rejects.toThrow(unavailable(/no issuer of/));
  bundle = authority.bundle(other);
  identity = agentSvid;
  await expect
    .poll(() =>
      check(client).then(
        () => 'in',
        () => 'out',
      ),
    )
    .toBe('in');
  expect(peers.at(-1)?.spiffeId).toBe(AGENT.spiffeId);
});

test('the first contact takes the server’s word, but not for another SPIFFE ID', async () => {
  const { listener } = await serveTls(await other.issue({ spiffeId: SERVER_ID }), () => []);
  await check(open(listener.port, { insecureBootstrap: true }));
  const expectedId = parseSpiffeId('spiffe://example.org/another');
  await expect(check(open(listener.port, { insecureBootstrap: true, expectedId }))).rejects.toThrow(
    unavailable(/expected spiffe:\/\/example\.org\/another/),
  );
});

test('streams live on while identity and bundle of the server change, until they are closed', async () => {
  let bundle = authority.bundle();
  const { listener, peers, tick } = await serveTls(serverSvid, () => [bundle]);
  const client = open(listener.port, { identity: () => agentSvid, bundle: () => authority.bundle(other) });
  await using stream = client.watch({ service: '' });
  await stream.receive();
  bundle = other.bundle();
  listener.useIdentity(await other.issue({ spiffeId: SERVER_ID }));
  await expect(
    check(open(listener.port, { identity: () => agentSvid, bundle: () => other.bundle() })),
  ).rejects.toThrow();
  const newcomer = await other.issue({ spiffeId: 'spiffe://example.org/spire/agent/b' });
  await check(open(listener.port, { identity: () => newcomer, bundle: () => other.bundle() }));
  for (let count = 0; count < 3; count++) {
    tick();
    expect(await stream.receive()).toBeDefined();
  }
  expect(peers).toHaveLength(2);
  expect(listener.closeConnections(({ spiffeId }) => spiffeId === AGENT.spiffeId)).toBe(1);
  await expect(stream.receive()).rejects.toThrow(expect.objectContaining({ status: Status.Unavailable }));
});

describe('a server that is none', () => {
  test('says nothing that is TLS', async () => {
    const server = createServer((socket) => socket.end('SSH-2.0-x\r\n')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.close();
    });
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    await expect(check(open(port))).rejects.toThrow(unavailable(/the TLS handshake failed/));
  });

  test('does not speak HTTP/2', async () => {
    const cert = serverSvid.certificates.map((der) => encodePem('CERTIFICATE', der)).join('');
    const key = serverSvid.privateKey.export({ type: 'pkcs8', format: 'pem' });
    const server = createTlsServer({ cert, key }, (socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.close();
    });
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    await expect(check(open(port))).rejects.toThrow(unavailable(/does not speak ALPN "h2"/));
  });
});

describe('a key that stays in a key manager', () => {
  async function openKey(keyId: string): Promise<{ identity: TlsIdentity; keyManager: KeyManagerProcess }> {
    const folder = await createTemporaryFolder();
    onTestFinished(() => folder[Symbol.asyncDispose]());
    const keyManager = await KeyManagerProcess.start(folder.join('km'));
    onTestFinished(() => keyManager[Symbol.asyncDispose]());
    const privateKey = await ManagedTlsKey.open(keyManager.options(keyId));
    onTestFinished(() => privateKey[Symbol.asyncDispose]());
    const { certificates } = await authority.issue({ ...AGENT, publicKey: privateKey.publicKey });
    return { identity: { certificates, privateKey }, keyManager };
  }

  test('proves who we are', async () => {
    const { identity } = await openKey('ec-p256');
    const { listener, peers } = await serveTls(serverSvid, () => [authority.bundle()]);
    await check(open(listener.port, { identity: () => identity }));
    expect(peers.map(({ spiffeId }) => spiffeId)).toEqual([AGENT.spiffeId]);
  });

  test('that signs no more is a failed call with the reason', async () => {
    const { identity } = await openKey('signs-once');
    const { listener, peers } = await serveTls(serverSvid, () => [authority.bundle()]);
    await expect(check(open(listener.port, { identity: () => identity }))).rejects.toThrow(
      unavailable(/the TLS key did not sign: this key signs no more/),
    );
    expect(peers).toEqual([]);
  });

  test('whose key manager died is a failed call with the reason', async () => {
    const { identity, keyManager } = await openKey('ec-p256');
    const { listener } = await serveTls(serverSvid, () => [authority.bundle()]);
    await keyManager.process.kill();
    await expect(check(open(listener.port, { identity: () => identity }))).rejects.toThrow(
      unavailable(/the TLS key did not sign: the key manager cannot be reached/),
    );
  });

  test('can serve, and a server says in its log why it did not sign', async () => {
    const { identity } = await openKey('signs-once');
    const { listener, records } = await serveTls(identity, () => []);
    const expectedId = parseSpiffeId(AGENT.spiffeId);
    await expect(check(open(listener.port, { expectedId }))).rejects.toThrow(unavailable(/handshake failed/));
    expect(records.filter(({ level }) => level === 'error').map(({ fields }) => fields.reason)).toContain(
      'this key signs no more',
    );
  });
});

describeWithGo('a server in Go', () => {
  async function serveGo(...flags: readonly string[]) {
    const { cert, key } = await writePem(serverSvid);
    const process = await TestProcess.start(await buildGo(MODULE, 'peer'), [
      'serve',
      '-cert',
      cert,
      '-key',
      key,
      ...flags,
    ]);
    onTestFinished(() => process[Symbol.asyncDispose]());
    const port = Number(await process.readLine());
    return { port, nextClient: async () => JSON.parse((await process.readLine()) ?? '') };
  }

  test.each([
    ['TLS 1.3', '772'],
    ['TLS 1.2', '771'],
  ])('sees who calls with %s, and no name where it was called by address', async (_version, max) => {
    const { port, nextClient } = await serveGo('-max', max);
    await check(open(port));
    expect(await nextClient()).toEqual({ clientNames: [], serverName: '' });
    await check(open(port, { identity: () => agentSvid }));
    expect(await nextClient()).toEqual({ clientNames: [AGENT.spiffeId], serverName: '' });
    const svid = await (await authority.createIntermediate()).issue(AGENT);
    await check(open(port, { identity: () => svid }, 'localhost'));
    expect(await nextClient()).toEqual({ clientNames: [AGENT.spiffeId], serverName: 'localhost' });
  });

  test('connects with a post-quantum key exchange alone, where that is required', async () => {
    const able = await serveGo('-curve', 'mlkem');
    await check(open(able.port, { requirePqKem: true }));
    const unable = await serveGo('-curve', 'p256');
    await expect(check(open(unable.port, { requirePqKem: true }))).rejects.toThrow(unavailable(/handshake/));
  });
});

test('grpc-js still asks credentials for connections as it did', async () => {
  const { listener } = await serveTls(serverSvid, () => []);
  const credentials = createSpiffeCredentials({ expectedId: SERVER_ID, bundle: () => authority.bundle() });
  expect(credentials).toBeInstanceOf(ChannelCredentials);
  expect(credentials._isSecure()).toBe(true);
  expect(credentials._equals(credentials)).toBe(true);
  expect(credentials._equals(ChannelCredentials.createInsecure())).toBe(false);
  const connector = credentials._createSecureConnector({ scheme: 'dns', path: 'localhost:1' }, {});
  expect(Object.keys(connector).sort()).toEqual(['connect', 'destroy', 'getCallCredentials', 'waitForReady']);
  await connector.waitForReady();
  const { socket, secure } = await connector.connect(connectTcp(listener.port, '127.0.0.1'));
  expect(secure).toBe(true);
  socket.destroy();
});

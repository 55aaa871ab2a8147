import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectTcp, createServer } from 'node:net';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { TestAuthority, type TestSvid } from '../../src/testing/test-authority.ts';
import { OID } from '../../src/x509/oids.ts';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import { serveTls, writePem } from '../harness/tls-service.ts';

const MODULE = new URL('../interop/tls-peer', import.meta.url).pathname;
const run = promisify(execFile);

interface GoResult {
  readonly error?: string;
  readonly grpcStatus?: string;
  readonly version?: string;
  readonly serverNames?: readonly string[];
  readonly resumed?: boolean;
}

let authority: TestAuthority;
let other: TestAuthority;
let serverSvid: TestSvid;
beforeAll(async () => {
  authority = await TestAuthority.create();
  other = await TestAuthority.create('example.org', 'Other');
  serverSvid = await authority.issue({ spiffeId: 'spiffe://example.org/spire/server' });
});
const serve = (bundles = () => [authority.bundle()]) => serveTls(serverSvid, bundles);
const AGENT = { spiffeId: 'spiffe://example.org/spire/agent/a' };
const inThePast = { notBefore: new Date(Date.now() - 7_200_000), notAfter: new Date(Date.now() - 3_600_000) };
const inTheFuture = { notBefore: new Date(Date.now() + 3_600_000), notAfter: new Date(Date.now() + 7_200_000) };

describeWithGo('a client in Go', () => {
  let program: string;
  beforeAll(async () => {
    program = await buildGo(MODULE, 'peer');
  });

  async function call(port: number, svid?: TestSvid, ...flags: readonly string[]): Promise<GoResult> {
    const pem = svid && (await writePem(svid));
    const files = pem === undefined ? [] : ['-cert', pem.cert, '-key', pem.key];
    const { stdout } = await run(program, ['call', `127.0.0.1:${port}`, ...files, ...flags]);
    return JSON.parse(stdout);
  }

  test.each([
    ['1.3', '772'],
    ['1.2', '771'],
  ])('with TLS %s and no certificate is an anonymous peer', async (version, max) => {
    const { listener, peers } = await serve();
    const result = await call(listener.port, undefined, '-max', max);
    expect(result).toEqual({
      grpcStatus: '0',
      version: `TLS ${version}`,
      serverNames: ['spiffe://example.org/spire/server'],
    });
    expect(peers).toEqual([expect.objectContaining({ kind: 'tls', address: '127.0.0.1', certificates: [] })]);
    expect(peers[0]).not.toHaveProperty('spiffeId');
  });

  const accepted: readonly (readonly [string, () => Promise<TestSvid>, number])[] = [
    ['an X.509-SVID', () => authority.issue(AGENT), 1],
    ['one intermediate along', async () => (await authority.createIntermediate()).issue(AGENT), 2],
    [
      'two intermediates along, in the wrong order',
      async () => {
        const lower = await (await authority.createIntermediate('A')).createIntermediate('B');
        const { certificates, privateKey } = await lower.issue(AGENT);
        const [leaf = new Uint8Array(), ...above] = certificates;
        return { certificates: [leaf, ...above.toReversed()], privateKey };
      },
      3,
    ],
    [
      'a certificate along that has nothing to do with it',
      async () => {
        const { certificates, privateKey } = await authority.issue(AGENT);
        return { certificates: [...certificates, other.certificate.der], privateKey };
      },
      2,
    ],
    [
      'a name constraint that allows it',
      async () => (await authority.createIntermediate('C', 'example.org')).issue(AGENT),
      2,
    ],
  ];
  test.each(accepted)('with %s is in, and known', async (_what, makeSvid, sent) => {
    const { listener, peers } = await serve();
    const svid = await makeSvid();
    for (const max of ['771', '772']) {
      expect(await call(listener.port, svid, '-max', max)).toMatchObject({ grpcStatus: '0' });
      const peer = peers.at(-1);
      expect(peer?.spiffeId).toBe(AGENT.spiffeId);
      expect(peer?.certificates.map((der) => Buffer.from(der).toString('hex'))).toEqual(
        svid.certificates.map((der) => Buffer.from(der).toString('hex')),
      );
      expect(peer?.certificates).toHaveLength(sent);
    }
  });

  const refused: readonly (readonly [string, () => Promise<TestSvid>, RegExp])[] = [
    ['of an unknown root', () => other.issue(AGENT), /no issuer of/],
    [
      'of a trust domain without a bundle',
      async () => (await TestAuthority.create('other.org')).issue({ spiffeId: 'spiffe://other.org/a' }),
      /no bundle of trust domain "other.org" is known/,
    ],
    [
      'of one trust domain by the CA of another',
      () => authority.issue({ spiffeId: 'spiffe://other.org/a' }),
      /no bundle of/,
    ],
    ['that has expired', () => authority.issue({ ...AGENT, ...inThePast }), /expired at/],
    ['that is not valid yet', () => authority.issue({ ...AGENT, ...inTheFuture }), /is not valid before/],
    [
      'with a critical extension that nobody knows',
      () => authority.issue({ ...AGENT, unknownCritical: true }),
      /critical extension 1\.3\.6\.1\.4\.1\.32473\.1/,
    ],
    [
      'for servers only',
      () => authority.issue({ ...AGENT, extendedKeyUsage: [OID.serverAuth] }),
      /extended key usage without serverAuth and clientAuth/,
    ],
    ['of a CA', () => authority.issue({ ...AGENT, isCa: true }), /is a CA certificate/],
    ['without a SPIFFE ID', () => authority.issue({ spiffeId: 'https://example.org/a' }), /is no SPIFFE ID/],
    [
      'below an intermediate that is not along',
      async () => {
        const { certificates, privateKey } = await (await authority.createIntermediate()).issue(AGENT);
        return { certificates: certificates.slice(0, 1), privateKey };
      },
      /no issuer of/,
    ],
    [
      'below an end entity',
      async () => {
        const agent = await authority.issue(AGENT);
        const { certificates, privateKey } = await other.issue(AGENT);
        return { certificates: [...certificates, ...agent.certificates], privateKey };
      },
      /no issuer of/,
    ],
    [
      'that violates a name constraint',
      async () => (await authority.createIntermediate('C', 'other.org')).issue(AGENT),
      /constrains names/,
    ],
  ];
  test.each(refused)('with a certificate %s is out', async (_what, makeSvid, reason) => {
    const { listener, peers, records } = await serve();
    const svid = await makeSvid();
    for (const max of ['771', '772']) {
      const { error, grpcStatus } = await call(listener.port, svid, '-max', max);
      expect(grpcStatus).toBeUndefined();
      expect(error).toBeDefined(); // an end without an alert, which Go words in several ways
    }
    expect(peers).toEqual([]);
    const refusals = records.filter(({ message }) => message === 'a connection was refused');
    expect(refusals.map(({ fields }) => fields.reason)).toEqual([
      expect.stringMatching(reason),
      expect.stringMatching(reason),
    ]);
  });

  test('a root counts from when it is added until it is removed', async () => {
    let bundle = authority.bundle();
    const { listener } = await serve(() => [bundle]);
    const svid = await other.issue(AGENT);
    expect((await call(listener.port, svid)).grpcStatus).toBeUndefined();
    bundle = authority.bundle(other);
    expect((await call(listener.port, svid)).grpcStatus).toBe('0');
    bundle = authority.bundle();
    expect((await call(listener.port, svid)).grpcStatus).toBeUndefined();
  });

  test('sees another identity from the next handshake on', async () => {
    const { listener } = await serve();
    listener.useIdentity(await authority.issue({ spiffeId: 'spiffe://example.org/another' }));
    expect((await call(listener.port)).serverNames).toEqual(['spiffe://example.org/another']);
    expect((await call(listener.port, await authority.issue(AGENT))).grpcStatus).toBe('0');
  });

  test.each(['771', '772'])('never resumes a session (%s)', async (max) => {
    const { listener, peers } = await serve();
    const result = await call(listener.port, await authority.issue(AGENT), '-twice', '-max', max);
    expect(result.grpcStatus).toBe('0');
    expect(result.resumed).toBeUndefined();
    expect(peers.map(({ spiffeId }) => spiffeId)).toEqual([AGENT.spiffeId, AGENT.spiffeId]);
  });

  test.each([
    ['without ALPN', ''],
    ['with another protocol', 'http/1.1'],
  ])('%s is no client', async (_what, alpn) => {
    const { listener, peers } = await serve();
    expect((await call(listener.port, undefined, '-alpn', alpn)).error).toBeDefined();
    expect(peers).toEqual([]);
  });

  test('needs a post-quantum key exchange where that is required', async () => {
    const { listener } = await serveTls(serverSvid, () => [], { requirePqKem: true });
    expect((await call(listener.port, undefined, '-curve', 'p256')).error).toBeDefined();
    expect((await call(listener.port, undefined, '-max', '771')).error).toBeDefined();
    expect((await call(listener.port, undefined, '-curve', 'mlkem')).grpcStatus).toBe('0');
  });
});

test('an identity whose key is not its certificate’s is refused, and the one before stays', async () => {
  const { listener } = await serve();
  const { certificates } = serverSvid;
  const { privateKey } = await authority.issue(AGENT);
  const mixed = { certificates, privateKey };
  expect(() => listener.useIdentity(mixed)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
  const socket = connect({ port: listener.port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  await once(socket, 'secureConnect');
  socket.destroy();
});

test('sends the certificates of its identity and no other', async () => {
  const intermediate = await authority.createIntermediate();
  const svid = await intermediate.issue(AGENT);
  const { listener } = await serveTls(svid, () => [authority.bundle()]);
  const socket = connect({ port: listener.port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  await once(socket, 'secureConnect');
  let count = 0;
  for (let sent = socket.getPeerX509Certificate(); sent !== undefined; sent = sent.issuerCertificate) count += 1;
  expect(count).toBe(2);
  socket.destroy();
});

describe('disposal', () => {
  test('frees the port and cuts off whoever has not finished a handshake', async () => {
    const { listener, peers } = await serve();
    const silent = connectTcp(listener.port, '127.0.0.1');
    await once(silent, 'connect');
    const established = connect({ port: listener.port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    await expect.poll(() => peers.length).toBe(1);
    const closed = once(silent, 'close');
    await listener[Symbol.asyncDispose]();
    await listener[Symbol.asyncDispose]();
    await closed;
    expect(established.destroyed).toBe(false);
    const again = createServer().listen(listener.port, '127.0.0.1');
    await once(again, 'listening');
    again.close();
    established.destroy();
  });
});

async function portInUse(address: string): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  const bound = server.address();
  return typeof bound === 'object' ? (bound?.port ?? 0) : 0;
}

const unusable: readonly (readonly [string, string, () => Promise<number>, RegExp])[] = [
  [
    'a port in use',
    '127.0.0.1',
    () => portInUse('127.0.0.1'),
    /^cannot listen on 127\.0\.0\.1 port \d+: it is in use, stop/,
  ],
  ['a port in use on IPv6', '::1', () => portInUse('::1'), /^cannot listen on ::1 port \d+: it is in use/],
  ['an address of another host', '192.0.2.1', async () => 0, /this host does not have that address$/],
  ['a port that cannot be', '127.0.0.1', async () => 65_536, /no such port$/],
  ['a host name that does not exist', 'nobody.invalid', async () => 0, /no such host name$/],
];
test.each(unusable)('says what is wrong with %s', async (_what, address, findPort, message) => {
  const port = await findPort();
  const listening = serveTls(serverSvid, () => [], { address, port });
  await expect(listening).rejects.toThrow(
    expect.objectContaining({ code: 'SOCKET_UNUSABLE', message: expect.stringMatching(message) }),
  );
});

test('listens on IPv6', async () => {
  const { listener, peers } = await serveTls(serverSvid, () => [], { address: '::1' });
  const socket = connect({ host: '::1', port: listener.port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  await once(socket, 'secureConnect');
  await expect.poll(() => peers.map(({ address }) => address)).toEqual(['::1']);
  socket.destroy();
});

test('does not listen at all with an identity that is none', async () => {
  const certificates = [Buffer.from('no certificate')];
  await expect(serveTls({ ...serverSvid, certificates }, () => [])).rejects.toThrow(
    expect.objectContaining({ code: 'ARGUMENT_INVALID' }),
  );
});

test('a client does not renegotiate: who it is was settled in the handshake', async () => {
  const { listener, peers } = await serve();
  const socket = connect({
    host: '127.0.0.1',
    port: listener.port,
    rejectUnauthorized: false,
    maxVersion: 'TLSv1.2',
    ALPNProtocols: ['h2'],
  });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  const refused = once(socket, 'error');
  socket.renegotiate({}, () => {});
  expect(String(await refused)).toMatch(/no renegotiation/i);
  expect(peers).toHaveLength(1);
});

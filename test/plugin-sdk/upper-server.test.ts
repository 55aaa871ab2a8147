import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { Bundle as ApiBundle } from '../../src/gen/spire/api/types/types.ts';
import { Logger } from '../../src/log/logger.ts';
import { UpperServer } from '../../src/plugin-sdk/index.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { bindService } from '../../src/rpc/service.ts';
import { listenTls } from '../../src/rpc/tls-server.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { TestAuthority, type TestSvid } from '../../src/testing/test-authority.ts';

vi.setConfig({ testTimeout: 40_000 });

const SERVER = 'spiffe://example.org/spire/server';
const trustDomain = parseTrustDomain('example.org');
const authority = await TestAuthority.create();
const stranger = await TestAuthority.create();
const us = await authority.issue({ spiffeId: 'spiffe://example.org/server-below' });
const log = new Logger(() => {}, 'error');
const { signal } = new AbortController();
const csr = Buffer.from('csr');
const good = await authority.createIntermediate('Below');

interface Answers {
  readonly ca?: { readonly caCertChain: Uint8Array[]; readonly x509Authorities: Uint8Array[] };
  readonly bundle?: Partial<ApiBundle>;
  readonly fails?: SpiffeError;
  readonly isSilent?: boolean;
}

const GOOD: Required<Pick<Answers, 'ca' | 'bundle'>> = {
  ca: { caCertChain: [good.certificate.der], x509Authorities: [authority.certificate.der] },
  bundle: { trustDomain: 'example.org', x509Authorities: [{ asn1: authority.certificate.der, tainted: false }] },
};

/** Whoever answers as the server above does, and what is known of it below. */
async function above(answers: Answers = {}, shown?: TestSvid, deadlineMs = 20_000): Promise<UpperServer> {
  const identity = shown ?? (await authority.issue({ spiffeId: SERVER }));
  const answer = async <Value>(value: Value): Promise<Value> => {
    if (answers.fails !== undefined) throw answers.fails;
    if (answers.isSilent) await new Promise(() => {});
    return value;
  };
  const server = RpcServer.create({
    services: [
      bindService(SVIDDefinition, { newDownstreamX509CA: () => answer(answers.ca ?? GOOD.ca) }),
      bindService(BundleDefinition, {
        getBundle: () => answer(ApiBundle.fromPartial(answers.bundle ?? GOOD.bundle)),
      }),
    ],
    log,
    graceMs: 100,
  });
  const listener = await listenTls({
    address: '127.0.0.1',
    port: 0,
    identity,
    log,
    findBundle: () => authority.bundle(),
    onConnection: (socket, peer) => server.accept(socket, peer),
  });
  onTestFinished(async () => {
    await listener[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  return known(listener.port, deadlineMs);
}

function known(port: number, deadlineMs = 20_000): UpperServer {
  const current = {
    spiffeId: parseSpiffeId('spiffe://example.org/server-below'),
    ...us,
    certificates: us.certificates,
    privateKey: us.privateKey,
    bundle: authority.bundle(),
  };
  const identity = { current, onChange: () => {} };
  const upper = new UpperServer({
    address: '127.0.0.1',
    port,
    trustDomain,
    requirePqKem: false,
    identity,
    deadlineMs,
  });
  onTestFinished(() => upper[Symbol.dispose]());
  return upper;
}

const mint = (upper: UpperServer) => upper.newDownstreamX509Ca(csr, 0, signal);

test('answers a CA with its chain and roots, and its bundle', async () => {
  const upper = await above();
  const { certificates, roots } = await mint(upper);
  expect(certificates.map((der) => Buffer.from(der))).toEqual([Buffer.from(good.certificate.der)]);
  expect(roots.map((der) => Buffer.from(der))).toEqual([Buffer.from(authority.certificate.der)]);
  expect((await upper.getBundle(signal)).x509Authorities).toHaveLength(1);
});

const GARBAGE = Buffer.from('garbage');
const many = Array.from({ length: 1_001 }, () => authority.certificate.der);
const badCas: readonly (readonly [string, Partial<Required<Answers>['ca']>, RegExp])[] = [
  ['no chain', { caCertChain: [] }, /0 certificates as the chain of the CA, not 1 to 1000/],
  ['no roots', { x509Authorities: [] }, /0 certificates as the roots/],
  [
    'a chain that does not parse',
    { caCertChain: [good.certificate.der, GARBAGE] },
    /certificate 2 of the chain of the CA that does not parse/,
  ],
  [
    'a truncated certificate',
    { caCertChain: [good.certificate.der.subarray(0, 200)] },
    /certificate 1 of the chain of the CA that does not parse/,
  ],
  ['roots that do not parse', { x509Authorities: [GARBAGE] }, /certificate 1 of the roots that does not parse/],
  ['far too many roots', { x509Authorities: many }, /1001 certificates as the roots/],
];
test.each(badCas)('%s is refused', async (_what, ca, message) => {
  const upper = await above({ ca: { ...GOOD.ca, ...ca } });
  await expect(mint(upper)).rejects.toMatchObject({ code: 'BUNDLE_INVALID', message: expect.stringMatching(message) });
});

const badBundles: readonly (readonly [string, Partial<ApiBundle>, RegExp])[] = [
  ['of another trust domain', { trustDomain: 'other.example' }, /it is of "other.example"/],
  ['without an authority', { x509Authorities: [] }, /it has no X.509 authority/],
  ['with an authority that does not parse', { x509Authorities: [{ asn1: GARBAGE, tainted: false }] }, /cannot be used/],
  [
    'with a key that does not parse',
    { jwtAuthorities: [{ keyId: 'a', publicKey: GARBAGE, expiresAt: 0n, tainted: false }] },
    /cannot be used/,
  ],
];
test.each(badBundles)('a bundle %s is refused', async (_what, bundle, message) => {
  const upper = await above({ bundle: { ...GOOD.bundle, ...bundle } });
  await expect(upper.getBundle(signal)).rejects.toMatchObject({
    code: 'BUNDLE_INVALID',
    message: expect.stringMatching(message),
  });
});

const past = { notBefore: new Date(Date.now() - 7_200_000), notAfter: new Date(Date.now() - 3_600_000) };
test.each([
  [
    'of another name',
    () => authority.issue({ spiffeId: 'spiffe://example.org/web' }),
    /says it is spiffe:\/\/example.org\/web, expected spiffe:\/\/example.org\/spire\/server/,
  ],
  [
    'of an agent',
    () => authority.issue({ spiffeId: 'spiffe://example.org/spire/agent/x/1' }),
    /expected spiffe:\/\/example.org\/spire\/server/,
  ],
  ['that another root signed', () => stranger.issue({ spiffeId: SERVER }), /is not trusted: .*certificate/],
  ['that has expired', () => authority.issue({ spiffeId: SERVER, ...past }), /is not trusted: .*expired at/],
  ['without a SPIFFE ID', () => authority.issueLeaf({ dnsNames: ['server.example.org'] }), /has no URI name/],
] as const)('a server with a certificate %s is not talked to', async (_what, shown, message) => {
  await expect(mint(await above({}, await shown()))).rejects.toThrow(message);
});

test('a server that is away, one that says nothing, and one that takes too long, are each said to be', async () => {
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const address = closed.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  closed.close();
  await expect(mint(known(port))).rejects.toThrow(/port \d+ does not answer: .*ECONNREFUSED/);

  const sockets: Socket[] = [];
  const mute = createServer((socket) => sockets.push(socket)).listen(port, '127.0.0.1');
  await once(mute, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    mute.close();
  });
  await expect(mint(known(port, 500))).rejects.toThrow(/does not answer: /);

  await expect(mint(await above({ isSilent: true }, undefined, 500))).rejects.toThrow(/does not answer: .*[Dd]eadline/);
});

test('its refusal is told as it is', async () => {
  const fails = new SpiffeError('PERMISSION_DENIED', 'the caller is not a downstream server');
  await expect(mint(await above({ fails }))).rejects.toThrow('the caller is not a downstream server');
});

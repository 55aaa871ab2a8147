import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HealthDefinition } from '../../src/gen/grpc/health/v1/health.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { Bundle, BundleMask, Entry, type X509SVID } from '../../src/gen/spire/api/types/types.ts';
import { validateJwtSvid } from '../../src/spiffe/jwt-svid.ts';
import { Status } from '../../src/spiffe/status.ts';
import { validateX509Svid } from '../../src/spiffe/x509-svid.ts';
import { encodeName, formatName } from '../../src/x509/name.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { type AgentCaller, apiId, attestByJoinToken, newCsr } from './callers.ts';

const resources = new AsyncDisposableStack();
let server: TestServer;
let agent: AgentCaller;
const HOUR = 3600;
const wrong = Status.InvalidArgument;

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(
    await TestServer.start({ folder: folder.path, settings: 'jwt_issuer = "https://issuer.example"' }),
  );
  agent = resources.use(await attestByJoinToken(server));
});
afterAll(() => resources.disposeAsync());

const mint = async (names: Parameters<typeof newCsr>[0], ttl = 0) => {
  const { csr } = await newCsr(names);
  return (await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl })).svid;
};
/** Verified against the bundle of the moment. */
const verified = (svid: X509SVID | undefined) =>
  validateX509Svid(svid?.certChain ?? [], server.running.bundle, new Date()).leaf;
const uri = (path: string) => [`spiffe://example.org${path}`];
const now = () => Date.now() / 1000;

describe('MintX509SVID', () => {
  test('gives what the CSR asks for', async () => {
    const svid = await mint({ uriNames: uri('/web'), dnsNames: ['web', 'www.example'] }, 60);
    const { dnsNames, uriNames, subject, notBefore, notAfter } = verified(svid);
    expect({ dnsNames, uriNames }).toEqual({ dnsNames: ['web', 'www.example'], uriNames: uri('/web') });
    expect(formatName(subject)).toBe('CN=web,O=SPIRE,C=US');
    expect(notAfter.getTime() / 1000).toBe(Number(svid?.expiresAt));
    expect(notAfter.getTime() - notBefore.getTime()).toBe(70_000); // 10 s back, inventory B003
    expect(svid).toMatchObject({ id: apiId('/web'), hint: '' });
  });

  test.each([
    ['the usual TTL', 0, HOUR],
    ['a TTL that the authority outlives', 7200, 2 * HOUR],
    ['a TTL beyond the authority, which caps it', 2 ** 31 - 1, 24 * HOUR],
  ])('with %s', async (_what, ttl, seconds) => {
    const { notAfter } = verified(await mint({ uriNames: uri('/web') }, ttl));
    expect(Math.abs(notAfter.getTime() / 1000 - now() - seconds)).toBeLessThan(60);
  });

  test.each([
    [{ organization: 'Ours', commonName: 'me' }, [], 'CN=me,O=Ours'],
    [{ organization: 'Ours', commonName: 'me' }, ['web'], 'CN=web,O=Ours'],
    [{ organization: 'Ours' }, ['web'], 'CN=web,O=Ours'],
    [{ organization: 'Ours' }, [`${'a'.repeat(63)}.example`], 'O=Ours'],
  ])('with the subject %j and DNS names %j', async (name, dnsNames, expected) => {
    const svid = await mint({ uriNames: uri('/web'), dnsNames, subject: encodeName(name) });
    expect(formatName(verified(svid).subject)).toBe(expected);
  });

  test.each([
    ['no URI', { uriNames: [] }, 0],
    ['two URIs', { uriNames: [...uri('/a'), ...uri('/b')] }, 0],
    ['a URI that is no SPIFFE ID', { uriNames: ['https://example.org/web'] }, 0],
    ['a foreign trust domain', { uriNames: ['spiffe://other.org/web'] }, 0],
    ['no path', { uriNames: uri('') }, 0],
    ["an agent's ID", { uriNames: uri('/spire/agent/x/y') }, 0],
    ["the server's ID", { uriNames: uri('/spire/server') }, 0],
    ['a wrong DNS name', { uriNames: uri('/web'), dnsNames: ['a b'] }, 0],
    ['a DNS name that a wildcard covers', { uriNames: uri('/web'), dnsNames: ['*.example', 'a.example'] }, 0],
    ['a negative TTL', { uriNames: uri('/web') }, -1],
  ])('refuses %s', async (_what, names, ttl) => {
    await expect(mint(names, ttl)).rejects.toMatchObject({ status: wrong });
  });

  test('refuses a CSR that is missing, broken, not signed by its key, or huge', async () => {
    const { csr } = await newCsr({ uriNames: uri('/web') });
    const forged = csr.with(csr.length - 1, (csr.at(-1) ?? 0) ^ 1);
    for (const bad of [new Uint8Array(), csr.subarray(1), forged, new Uint8Array(100_000)]) {
      const call = server.admin(SVIDDefinition).mintX509SVID({ csr: bad, ttl: 0 });
      await expect(call).rejects.toMatchObject({ status: wrong });
    }
  });
});

describe('MintJWTSVID', () => {
  const mintJwt = async (path: string, audience: string[], ttl = 0, trustDomain = 'example.org') =>
    (await server.admin(SVIDDefinition).mintJWTSVID({ id: { trustDomain, path }, audience, ttl })).svid;

  test.each([
    ['the usual TTL', 0, 300],
    ['a TTL', 60, 60],
    ['a TTL beyond the authority, which caps it', 2 ** 31 - 1, 24 * HOUR],
  ])('with %s', async (_what, ttl, seconds) => {
    const svid = await mintJwt('/web', ['api', 'other'], ttl);
    const { claims, spiffeId } = validateJwtSvid(svid?.token ?? '', 'api', () => server.running.bundle, new Date());
    expect(spiffeId).toBe('spiffe://example.org/web');
    expect(claims).toMatchObject({ aud: ['api', 'other'], iss: 'https://issuer.example' });
    expect(claims).not.toHaveProperty('jti');
    expect([claims.iat, claims.exp]).toEqual([Number(svid?.issuedAt), Number(svid?.expiresAt)]);
    expect(Math.abs(Number(svid?.expiresAt) - now() - seconds)).toBeLessThan(60);
  });

  test.each([
    ['no audience', '/web', [], 0, 'example.org'],
    ['an empty audience', '/web', [''], 0, 'example.org'],
    ['a negative TTL', '/web', ['a'], -1, 'example.org'],
    ['a foreign ID', '/web', ['a'], 0, 'other.org'],
    ['no path', '', ['a'], 0, 'example.org'],
    ['a reserved ID', '/spire/agent/x', ['a'], 0, 'example.org'],
  ])('refuses %s', async (_what, path, audience, ttl, trustDomain) => {
    await expect(mintJwt(path, audience, ttl, trustDomain)).rejects.toMatchObject({ status: wrong });
  });

  test('refuses no ID', async () => {
    const call = server.admin(SVIDDefinition).mintJWTSVID({ id: undefined, audience: ['a'], ttl: 0 });
    await expect(call).rejects.toMatchObject({ status: wrong });
  });
});

describe('for an agent', () => {
  let entryId: string;
  let othersId: string;

  beforeAll(async () => {
    const entry = (parentId: typeof agent.id, path: string) =>
      Entry.fromPartial({
        spiffeId: apiId(path),
        parentId,
        selectors: [{ type: 'unix', value: 'uid:0' }],
        dnsNames: ['db'],
        x509SvidTtl: 120,
        jwtSvidTtl: 30,
        hint: 'inner',
        additionalAttributes: { jwtSvidIncludeJti: true, disableX509SvidPrefetch: false },
      });
    const entries = [entry(agent.id, '/db'), entry(apiId('/spire/agent/join_token/other'), '/other')];
    const { results } = await server.admin(EntryDefinition).batchCreateEntry({ entries, outputMask: undefined });
    [entryId = '', othersId = ''] = results.map(({ entry }) => entry?.id);
  });

  test('BatchNewX509SVID gives each that it may have', async () => {
    const { csr } = await newCsr();
    const params = [
      { entryId, csr },
      { entryId: othersId, csr },
      { entryId: 'unknown', csr },
      { entryId: '', csr },
      { entryId, csr: new Uint8Array() },
      { entryId, csr: csr.subarray(1) },
      { entryId, csr },
    ];
    const { results } = await agent.client(SVIDDefinition).batchNewX509SVID({ params });
    expect(results.map(({ status }) => status?.code)).toEqual([
      Status.Ok,
      Status.NotFound,
      Status.NotFound,
      wrong,
      wrong,
      wrong,
      Status.Ok,
    ]);
    const { dnsNames, uriNames, notAfter, serialNumber } = verified(results[0]?.svid);
    expect({ dnsNames, uriNames }).toEqual({ dnsNames: ['db'], uriNames: uri('/db') });
    expect(Math.abs(notAfter.getTime() / 1000 - now() - 120)).toBeLessThan(60);
    expect(verified(results[6]?.svid).serialNumber).not.toEqual(serialNumber);
    expect(results[0]?.svid).toMatchObject({ id: apiId('/db') });
  });

  test('BatchNewX509SVID refuses an empty batch, and one of more than 500', async () => {
    const tooMany = { params: Array.from({ length: 501 }, () => ({ entryId: 'x', csr: Buffer.of(1) })) };
    await expect(agent.client(SVIDDefinition).batchNewX509SVID(tooMany)).rejects.toMatchObject({
      status: Status.ResourceExhausted,
    });
    await expect(agent.client(SVIDDefinition).batchNewX509SVID({ params: [] })).rejects.toMatchObject({
      status: wrong,
    });
  });

  test('NewJWTSVID gives one of an entry', async () => {
    const { svid } = await agent.client(SVIDDefinition).newJWTSVID({ entryId, audience: ['api'] });
    const { claims } = validateJwtSvid(svid?.token ?? '', 'api', () => server.running.bundle, new Date());
    expect(claims).toMatchObject({ sub: 'spiffe://example.org/db', jti: expect.stringMatching(/./) });
    expect(Number(claims.exp) - Number(claims.iat)).toBe(30);
  });

  test.each([
    ["another agent's entry", () => othersId, ['a'], Status.NotFound],
    ['an unknown entry', () => 'unknown', ['a'], Status.NotFound],
    ['no entry', () => '', ['a'], Status.NotFound],
    ['no audience', () => entryId, [], wrong],
  ])('NewJWTSVID refuses %s', async (_what, id, audience, status) => {
    await expect(agent.client(SVIDDefinition).newJWTSVID({ entryId: id(), audience })).rejects.toMatchObject({
      status,
    });
  });
});

describe('Bundle', () => {
  const bundles = () => server.admin(BundleDefinition);

  test('GetBundle shows its authorities', async () => {
    const bundle = await bundles().getBundle({ outputMask: undefined });
    const [authority] = bundle.x509Authorities.map(({ asn1 }) => new X509Certificate(asn1));
    expect(authority?.ca).toBe(true);
    expect(authority?.subjectAltName).toBe('URI:spiffe://example.org');
    expect(bundle.jwtAuthorities).toMatchObject([{ tainted: false, keyId: expect.stringMatching(/./) }]);
  });

  test.each(Object.keys(BundleMask.create()))('GetBundle with a mask shows the trust domain and %s', async (field) => {
    const whole = await bundles().getBundle({ outputMask: undefined });
    const shown = await bundles().getBundle({ outputMask: BundleMask.fromPartial({ [field]: true }) });
    const wanted = Object.entries(whole).filter(([key]) => key === field);
    expect(shown).toEqual(Bundle.create({ trustDomain: 'example.org', ...Object.fromEntries(wanted) }));
  });

  test('CountBundles counts its own', async () => {
    expect(await bundles().countBundles({})).toEqual({ count: 1 });
  });

  test.each([
    ['example.org', wrong],
    ['', wrong],
    ['Other.org', wrong],
    ['other.org', Status.NotFound],
  ])('GetFederatedBundle of "%s" is refused', async (trustDomain, status) => {
    await expect(bundles().getFederatedBundle({ trustDomain, outputMask: undefined })).rejects.toMatchObject({
      status,
    });
  });
});

describe('Health', () => {
  const health = () => server.admin(HealthDefinition);
  const SERVING = 1;
  const SERVICE_UNKNOWN = 3;

  test('Check and List', async () => {
    expect(await health().check({ service: '' })).toEqual({ status: SERVING });
    expect(await health().list({})).toEqual({ statuses: { '': { status: SERVING } } });
    await expect(health().check({ service: 'other' })).rejects.toMatchObject({ status: Status.NotFound });
  });

  test.each([
    ['', SERVING],
    ['other', SERVICE_UNKNOWN],
  ])('Watch of "%s"', async (service, status) => {
    await using watch = health().watch({ service });
    expect(await watch.receive()).toEqual({ status });
  });
});

test('with disable_jwt_svids there are neither JWT-SVIDs nor JWT authorities', async () => {
  await using folder = await createTemporaryFolder();
  await using without = await TestServer.start({ folder: folder.path, settings: 'disable_jwt_svids = true' });
  expect(without.running.bundle.jwtAuthorities).toEqual([]);
  const call = without.admin(SVIDDefinition).mintJWTSVID({ id: apiId('/web'), audience: ['a'], ttl: 0 });
  await expect(call).rejects.toMatchObject({ status: Status.Unimplemented });
});

import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { HealthDefinition } from '../../src/gen/grpc/health/v1/health.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Bundle, Entry, EntryMask } from '../../src/gen/spire/api/types/types.ts';
import { SpiffeWorkloadAPIDefinition } from '../../src/gen/workload/workload.ts';
import { Status } from '../../src/spiffe/status.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import type { TestAgent } from '../harness/running-agent.ts';
import { MYSELF, TestDomain } from './test-domain.ts';
import { AS_WORKLOAD, fetchX509, firstOf, workloadApi } from './workload.ts';

vi.setConfig({ testTimeout: 90_000 }); // many tests start programs

const resources = new AsyncDisposableStack();
let domain: TestDomain;
let agent: TestAgent;

beforeAll(async () => {
  domain = resources.use(await TestDomain.start());
  await domain.createEntry('/web', { dnsNames: ['web.example.org'], hint: 'front' });
  agent = resources.use(await domain.startAgent());
});
afterAll(() => resources.disposeAsync());

const status = (code: Status, message: string | RegExp) =>
  expect.objectContaining({ status: code, message: expect.stringMatching(message) });

describe('who may call', () => {
  const calls = ['fetchX509SVID', 'fetchX509Bundles', 'fetchJWTBundles'] as const;
  test.each(calls)('%s wants the security header (Workload Endpoint §3)', async (name) => {
    const refusal = status(Status.InvalidArgument, 'security header missing from request');
    for (const value of ['', 'false', 'TRUE']) {
      const call = workloadApi(agent)[name]({}, value === '' ? {} : { metadata: { 'workload.spiffe.io': value } });
      await expect(firstOf<unknown>(call)).rejects.toEqual(refusal);
    }
  });

  test('health wants no header', async () => {
    const health = agent.workload(HealthDefinition);
    await expect(health.check({ service: '' })).resolves.toEqual({ status: 1 });
    await expect(health.check({ service: 'other' })).rejects.toEqual(status(Status.NotFound, 'other'));
  });

  test('a process that no entry is for gets no identity (Workload Endpoint §6)', async () => {
    await using bare = await TestDomain.start();
    await bare.createEntry('/other', { selectors: [MYSELF, { type: 'unix', value: 'uid:4294967' }] });
    await using lonely = await bare.startAgent();
    const api = workloadApi(lonely);
    const refusal = status(Status.PermissionDenied, 'no identity issued');
    await expect(firstOf(api.fetchX509SVID({}, AS_WORKLOAD))).rejects.toEqual(refusal);
    await expect(firstOf(api.fetchX509Bundles({}, AS_WORKLOAD))).rejects.toEqual(refusal);
    await expect(firstOf(api.fetchJWTBundles({}, AS_WORKLOAD))).rejects.toEqual(refusal);
    await expect(api.fetchJWTSVID({ audience: ['a'], spiffeId: '' }, AS_WORKLOAD)).rejects.toEqual(refusal);
    await expect(api.validateJWTSVID({ audience: 'a', svid: 'x.y.z' }, AS_WORKLOAD)).rejects.toEqual(refusal);

    await using open = await bare.startAgent('open', {
      settings: `join_token = "${await bare.createToken()}"\n  allow_unauthenticated_verifiers = true`,
    });
    const { bundles } = await firstOf(workloadApi(open).fetchX509Bundles({}, AS_WORKLOAD));
    expect(Object.keys(bundles)).toEqual(['spiffe://example.org']);
    await expect(firstOf(workloadApi(open).fetchX509SVID({}, AS_WORKLOAD))).rejects.toEqual(refusal);
  });
});

test('every user of the node may connect', async () => {
  const { socketPath } = agent.running;
  expect((await stat(socketPath)).mode & 0o777).toBe(0o777);
  expect((await stat(dirname(socketPath))).mode & 0o777).toBe(0o755);
});

describe('X.509', () => {
  test('an SVID comes with its key, chain, bundle and hint', async () => {
    const { svids } = await fetchX509(agent);
    const svid = svids.find(({ spiffeId }) => spiffeId === 'spiffe://example.org/web');
    if (svid === undefined) throw new Error('no SVID');
    const leaf = new X509Certificate(svid.x509Svid);
    const root = new X509Certificate(svid.bundle);
    expect(leaf.verify(root.publicKey)).toBe(true);
    expect(leaf.subjectAltName).toBe('URI:spiffe://example.org/web, DNS:web.example.org');
    const key = createPrivateKey({ key: Buffer.from(svid.x509SvidKey), format: 'der', type: 'pkcs8' });
    expect(createPublicKey(key).equals(leaf.publicKey)).toBe(true);
    expect(svid.hint).toBe('front');
  });

  test('of identities with one hint, the one that was created first is issued', async () => {
    const second = await domain.createEntry('/second', { hint: 'front' });
    const third = await domain.createEntry('/third', { hint: 'back' });
    await expect
      .poll(async () => (await fetchX509(agent)).svids.map(({ spiffeId, hint }) => `${hint} ${spiffeId}`))
      .toEqual(['front spiffe://example.org/web', 'back spiffe://example.org/third']);
    await domain.deleteEntry(second);
    await domain.deleteEntry(third);
    await expect.poll(async () => (await fetchX509(agent)).svids.length).toBe(1);
  });

  test('a stream tells of an entry that is added, changed and deleted', async () => {
    await using stream = workloadApi(agent).fetchX509SVID({}, { ...AS_WORKLOAD, deadlineMs: 60_000 });
    const ids = async () => (await stream.receive())?.svids.map(({ spiffeId }) => spiffeId);
    expect(await ids()).toEqual(['spiffe://example.org/web']);
    const id = await domain.createEntry('/added');
    expect(await ids()).toEqual(['spiffe://example.org/web', 'spiffe://example.org/added']);
    const changed = Entry.fromPartial({ id, dnsNames: ['added'] });
    const inputMask = EntryMask.create({ dnsNames: true });
    await domain.server
      .admin(EntryDefinition)
      .batchUpdateEntry({ entries: [changed], inputMask, outputMask: undefined });
    const update = await stream.receive();
    expect(new X509Certificate(update?.svids[1]?.x509Svid ?? '').subjectAltName).toContain('DNS:added');
    await domain.deleteEntry(id);
    expect(await ids()).toEqual(['spiffe://example.org/web']);
  });

  test('the deletion of the last entry ends the stream with PERMISSION_DENIED', async () => {
    await using other = await TestDomain.start();
    const id = await other.createEntry('/short-lived');
    await using itsAgent = await other.startAgent();
    await using stream = workloadApi(itsAgent).fetchX509SVID({}, AS_WORKLOAD);
    expect((await stream.receive())?.svids).toHaveLength(1);
    await other.deleteEntry(id);
    await expect(stream.receive()).rejects.toEqual(status(Status.PermissionDenied, 'no identity issued'));
  });

  test('bundles of federated trust domains come along', async () => {
    const partner = parseTrustDomain('partner.org');
    await using partnerDomain = await TestDomain.start();
    const { bundle: partnerBundle } = partnerDomain.server.running;
    const setBundle = async (authorities: Partial<Bundle>) => {
      const given = Bundle.fromPartial({ trustDomain: partner, ...authorities });
      const api = domain.server.admin(BundleDefinition);
      const { results } = await api.batchSetFederatedBundle({ bundle: [given], outputMask: undefined });
      expect(results.map((result) => result.status?.code)).toEqual([0]);
    };
    const x509Authorities = partnerBundle.x509Authorities.map(({ certificate: asn1, tainted }) => ({ asn1, tainted }));
    const jwtAuthorities = partnerBundle.jwtAuthorities.map((key) => ({ ...key, expiresAt: BigInt(key.expiresAt) }));
    await setBundle({ x509Authorities, jwtAuthorities });
    const id = await domain.createEntry('/federated', { federatesWith: ['partner.org'] });
    const federated = async () => Object.keys((await fetchX509(agent)).federatedBundles);
    await expect.poll(federated).toEqual(['spiffe://partner.org']);
    const { bundles } = await firstOf(workloadApi(agent).fetchX509Bundles({}, AS_WORKLOAD));
    expect(Object.keys(bundles)).toEqual(['spiffe://example.org', 'spiffe://partner.org']);
    const jwt = await firstOf(workloadApi(agent).fetchJWTBundles({}, AS_WORKLOAD));
    expect(JSON.parse(Buffer.from(jwt.bundles['spiffe://partner.org'] ?? []).toString()).keys).toHaveLength(1);
    await setBundle({}); // go-spiffe's client would refuse all bundles for one that is empty
    await expect.poll(federated).toEqual([]);
    await setBundle({ x509Authorities, jwtAuthorities });
    await expect.poll(federated).toEqual(['spiffe://partner.org']);
    await domain.deleteEntry(id);
    await expect.poll(federated).toEqual([]);
  });
});

describe('JWT', () => {
  const fetchToken = async (audience: string[], spiffeId = '') =>
    (await workloadApi(agent).fetchJWTSVID({ audience, spiffeId }, AS_WORKLOAD)).svids;

  test('a token is good for its audience, and for no other', async () => {
    const [svid] = await fetchToken(['db', 'cache']);
    expect(svid).toMatchObject({ spiffeId: 'spiffe://example.org/web', hint: 'front' });
    const validate = (audience: string, token = svid?.svid ?? '') =>
      workloadApi(agent).validateJWTSVID({ audience, svid: token }, AS_WORKLOAD);
    const { spiffeId, claims } = await validate('db');
    expect(spiffeId).toBe('spiffe://example.org/web');
    expect(claims).toMatchObject({ sub: spiffeId, aud: ['db', 'cache'] });
    await expect(validate('other')).rejects.toEqual(status(Status.InvalidArgument, 'audience'));
    await expect(validate('db', `${svid?.svid}x`)).rejects.toEqual(status(Status.InvalidArgument, 'signature'));
    await expect(validate('')).rejects.toEqual(status(Status.InvalidArgument, 'audience must be specified'));
    await expect(validate('db', '')).rejects.toEqual(status(Status.InvalidArgument, 'svid must be specified'));
  });

  test('a token is kept for the same audiences, in whatever order', async () => {
    const [first] = await fetchToken(['one', 'two']);
    const [again] = await fetchToken(['two', 'one']);
    const [other] = await fetchToken(['one']);
    expect(again?.svid).toBe(first?.svid);
    expect(other?.svid).not.toBe(first?.svid);
  });

  test('wants an audience, and an identity that the caller has', async () => {
    await expect(fetchToken([])).rejects.toEqual(status(Status.InvalidArgument, 'audience must be specified'));
    await expect(fetchToken([''])).rejects.toEqual(status(Status.InvalidArgument, 'audience must be specified'));
    await expect(fetchToken(['a'], 'spiffe://example.org/not-mine')).rejects.toEqual(
      status(Status.PermissionDenied, 'no identity issued'),
    );
    expect(await fetchToken(['a'], 'spiffe://example.org/web')).toHaveLength(1);
  });

  test('bundles are JWK sets', async () => {
    const { bundles } = await firstOf(workloadApi(agent).fetchJWTBundles({}, AS_WORKLOAD));
    const { keys } = JSON.parse(Buffer.from(bundles['spiffe://example.org'] ?? []).toString());
    expect(keys).toEqual([expect.objectContaining({ kty: 'EC', use: 'jwt-svid', kid: expect.any(String) })]);
  });
});

test('the WIT calls are not implemented', async () => {
  const call = agent.workload(SpiffeWorkloadAPIDefinition).fetchWITBundles({}, AS_WORKLOAD);
  await expect(firstOf(call)).rejects.toEqual(status(Status.Unimplemented, ''));
});

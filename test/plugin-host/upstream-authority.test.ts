import { generateKeyPairSync } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import type { UpstreamAuthority } from '../../src/plugin-host/kinds/upstream-authority.ts';
import type { JwtAuthority } from '../../src/spiffe/bundle.ts';
import { Status } from '../../src/spiffe/status.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { verifyChain } from '../../src/x509/chain.ts';
import { createCsr } from '../../src/x509/csr.ts';
import { signerOfKeyObject } from '../../src/x509/signer.ts';
import { eventually } from '../harness/eventually.ts';
import { pluginConfig, TestHost } from './go-plugins.ts';
import { describePlugins, loadServer, requireLoaded } from './implementations.ts';

/** Seconds by which the plugins tell what to do; more are a CA's. */
const ASK_FOR = {
  closeAtOnce: 1,
  noChain: 2,
  noRoots: 3,
  garbageChain: 4,
  garbageRoots: 5,
  badUpdates: 6,
  deny: 7,
  staysOpen: 8,
  failLater: 9,
  staysSilent: 10,
  ca: 3600,
} as const;

const signer = signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
const csr = await createCsr({ signer, uriNames: ['spiffe://example.org'] });
const jwtKey = (keyId: string): JwtAuthority => {
  return { keyId, publicKey: signer.publicKey, expiresAt: 1_900_000_000, tainted: false };
};

async function collect<Value>(values: AsyncIterable<Value>): Promise<readonly Value[]> {
  const collected: Value[] = [];
  for await (const value of values) collected.push(value);
  return collected;
}

describePlugins('an upstream authority', (implementation) => {
  const { signal } = new AbortController();
  const host = new TestHost();
  let catalog: PluginCatalog;
  let upstream: UpstreamAuthority;
  beforeAll(async () => {
    const plugin = await implementation.plugin('upstream-authority');
    catalog = await loadServer(host, [pluginConfig({ type: 'UpstreamAuthority', name: 'above', ...plugin })]);
    upstream = requireLoaded(catalog.upstreamAuthority);
  });
  afterAll(() => catalog?.[Symbol.asyncDispose]());

  const mint = (ask: keyof typeof ASK_FOR, ended = signal) =>
    upstream.mintX509Ca({ csr, preferredTtlSeconds: ASK_FOR[ask] }, ended);
  const skipped = () => host.records.filter(({ message }) => message === 'update of a plugin was skipped');
  const said = (text: string) => host.records.filter(({ message }) => message === text).length;
  const cancelled = () => said('cancelled');

  test('signs the CA; a stream that ends at once has no updates (§8.4)', async () => {
    await using minted = await mint('ca');
    const [leaf, ...intermediates] = minted.first.certificates.map(parseCertificate);
    const roots = minted.first.roots.map(({ certificate }) => parseCertificate(certificate));
    const ca = requireLoaded(leaf);
    expect(ca.isCa).toBe(true);
    expect(Buffer.from(ca.subjectPublicKeyInfo)).toEqual(Buffer.from(signer.publicKey));
    expect(verifyChain({ leaf: ca, intermediates, roots, now: new Date() })).toHaveLength(2);
    expect(await collect(minted.updates)).toEqual([]);
  });

  test.each([
    ['closes the stream at once', 'closeAtOnce', /closed the stream before its first message/],
    ['answers no chain', 'noChain', /answered no certificate for the CA/],
    ['answers no roots', 'noRoots', /answered no root certificate/],
    ['answers a chain that does not parse', 'garbageChain', /certificate 1 of the chain of the CA .*does not parse/],
    ['answers roots that do not parse', 'garbageRoots', /certificate 1 of the roots .*does not parse/],
  ] as const)('a plugin that %s is an internal error (§8.4)', async (_what, ask, message) => {
    await expect(mint(ask)).rejects.toMatchObject({
      status: Status.Internal,
      message: expect.stringMatching(message),
    });
  });

  test('a refusal has its code and the prefix (§9)', async () => {
    await expect(mint('deny')).rejects.toMatchObject({
      status: Status.PermissionDenied,
      message: 'upstreamauthority(above): no CA for you',
    });
  });

  test('bad updates are skipped with a warning, the good one after them counts (§8.4)', async () => {
    const before = skipped().length;
    await using minted = await mint('badUpdates');
    const root = requireLoaded(minted.first.roots[0]);
    expect(await collect(minted.updates)).toEqual([[{ ...root, tainted: true }]]);
    expect(skipped().slice(before)).toEqual(
      [/another certificate for the CA/, /no root certificate/, /does not parse/].map((error) =>
        expect.objectContaining({
          level: 'warning',
          fields: expect.objectContaining({ plugin_name: 'above', error: expect.stringMatching(error) }),
        }),
      ),
    );
  });

  test('a failure after the first message ends the updates with its code and the prefix (§9)', async () => {
    await using minted = await mint('failLater');
    await expect(collect(minted.updates)).rejects.toMatchObject({
      status: Status.Unavailable,
      message: 'upstreamauthority(above): the upstream went away',
    });
  });

  describe('a stream that stays open (§8.4)', () => {
    test('ends when it is disposed of; the plugin sees that', async () => {
      const before = cancelled();
      const minted = await mint('staysOpen');
      const updates = collect(minted.updates);
      await minted[Symbol.asyncDispose]();
      expect(await updates).toEqual([]);
      await eventually(() => expect(cancelled()).toBe(before + 1));
    });

    test('ends by the signal; the plugin sees that', async () => {
      const before = cancelled();
      const controller = new AbortController();
      await using minted = await mint('staysOpen', controller.signal);
      const updates = collect(minted.updates);
      controller.abort();
      await expect(updates).rejects.toMatchObject({ status: Status.Cancelled });
      await eventually(() => expect(cancelled()).toBe(before + 1));
    });

    test('ends by the signal before its first message', async () => {
      const controller = new AbortController();
      const minting = mint('staysSilent', controller.signal);
      controller.abort();
      await expect(minting).rejects.toMatchObject({ status: Status.Cancelled });
    });

    test('ends where its first message does not come in two minutes', async () => {
      const before = cancelled();
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const waiting = said('waits');
      const minting = mint('staysSilent');
      minting.catch(() => {});
      while (said('waits') === waiting) await setImmediate(); // it has the call
      await vi.advanceTimersByTimeAsync(120_000);
      vi.useRealTimers();
      await expect(minting).rejects.toMatchObject({
        code: 'DEADLINE_EXCEEDED',
        message: 'upstreamauthority(above): the plugin sent no message within 120 s',
      });
      await eventually(() => expect(cancelled()).toBeGreaterThan(before));
    });
  });

  test('a JWT key is published; bad updates are skipped, none are an update too (§8.4)', async () => {
    await using published = requireLoaded(await upstream.publishJwtKey(jwtKey('one'), signal));
    expect(published.first).toEqual([jwtKey('one')]);
    expect(await collect(published.updates)).toEqual([[]]);
  });

  test.each([
    ['garbage', Status.Internal, /answered a JWT key that does not parse/],
    ['nameless', Status.Internal, /a JWT key has no key id/],
    ['close', Status.Internal, /closed the stream before its first message/],
    ['deny', Status.PermissionDenied, /^upstreamauthority\(above\): no key from you$/],
  ])('publishing the key %j fails (§8.4)', async (keyId, status, message) => {
    await expect(upstream.publishJwtKey(jwtKey(keyId), signal)).rejects.toMatchObject({
      status,
      message: expect.stringMatching(message),
    });
  });

  test('the local bundle comes with its updates; a bad one is skipped (§8.4)', async () => {
    await using local = requireLoaded(await upstream.subscribeToLocalBundle(signal));
    const { x509Authorities } = local.first;
    expect(local.first).toEqual({ x509Authorities: [expect.objectContaining({ tainted: false })], jwtAuthorities: [] });
    const key = { keyId: 'up', publicKey: expect.anything(), expiresAt: 1_900_000_000, tainted: false };
    expect(await collect(local.updates)).toEqual([{ x509Authorities, jwtAuthorities: [key] }]);
  });
});

describePlugins('an upstream authority that only mints', (implementation) => {
  const { signal } = new AbortController();

  test('leaves JWT keys and the local bundle to the server, and says so once (§8.4)', async () => {
    const host = new TestHost();
    const plugin = await implementation.plugin('upstream-authority', 'mint');
    await using catalog = await loadServer(host, [
      pluginConfig({ type: 'UpstreamAuthority', name: 'above', ...plugin }),
    ]);
    const upstream = requireLoaded(catalog.upstreamAuthority);
    for (let call = 0; call < 2; call++) expect(await upstream.publishJwtKey(jwtKey('one'), signal)).toBeUndefined();
    expect(await upstream.subscribeToLocalBundle(signal)).toBeUndefined();
    expect(host.records.filter(({ level }) => level === 'warning').map(({ message }) => message)).toEqual([
      'plugin checksum not configured',
      expect.stringMatching(/takes no JWT keys/),
    ]);
  });

  test('that dies takes its streams with it (§5)', async () => {
    const host = new TestHost();
    const plugin = await implementation.plugin('upstream-authority', 'mint');
    await using catalog = await loadServer(host, [
      pluginConfig({ type: 'UpstreamAuthority', name: 'above', ...plugin }),
    ]);
    const minting = requireLoaded(catalog.upstreamAuthority).mintX509Ca(
      { csr, preferredTtlSeconds: ASK_FOR.staysOpen },
      signal,
    );
    await using minted = await minting;
    const updates = collect(minted.updates);
    const { pid } = requireLoaded(catalog.plugins.find(({ type }) => type === 'UpstreamAuthority'));
    process.kill(requireLoaded(pid), 'SIGKILL');
    await expect(updates).rejects.toMatchObject({
      status: Status.Unavailable,
      message: "upstreamauthority(above): the plugin's process was ended by SIGKILL",
    });
    const upstream = requireLoaded(catalog.upstreamAuthority);
    await using again = await upstream.mintX509Ca({ csr, preferredTtlSeconds: ASK_FOR.ca }, signal);
    expect(again.first.certificates).toHaveLength(1);
  });
});

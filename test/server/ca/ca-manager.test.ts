import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { validateJwtSvid } from '../../../src/spiffe/jwt-svid.ts';
import { parseSpiffeId } from '../../../src/spiffe/spiffe-id.ts';
import { validateX509Svid } from '../../../src/spiffe/x509-svid.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { OpenSslFolder } from '../../x509/openssl.ts';
import { Authorities, type AuthoritiesOptions } from './authorities.ts';

const HOUR = 3600;
const DAY = 24 * HOUR;
let folder: TemporaryFolder;
let now: Date;

beforeEach(async () => {
  folder = await createTemporaryFolder();
  now = new Date('2026-01-01T00:00:00Z');
});
afterEach(() => folder[Symbol.asyncDispose]());

const open = (options: Partial<AuthoritiesOptions> = {}) =>
  Authorities.open({ folder: folder.path, clock: () => now, ...options });
const pass = (seconds: number) => {
  now = new Date(now.getTime() + seconds * 1000);
};
const issue = ({ issuer }: Authorities, ttlSeconds = 60, publicKey = newPublicKey()) =>
  issuer.issueX509({ spiffeId: parseSpiffeId('spiffe://example.org/web'), publicKey, dnsNames: [], ttlSeconds });
const newPublicKey = () =>
  new Uint8Array(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' }));

describe('rotation (inventory B001)', () => {
  test.each([
    [DAY, DAY / 2, (DAY * 5) / 6],
    [HOUR, HOUR / 2, (HOUR * 5) / 6],
    [365 * DAY, 335 * DAY, 358 * DAY], // 30 and 7 days before the end at most
  ])('with a life of %d s prepares after %d s and activates after %d s', async (ttlSeconds, prepareAt, activateAt) => {
    await using ca = await open({ ttlSeconds });
    const first = ca.ids;
    expect(ca.states).toEqual({ x509: 'A active', jwt: 'A active' });

    pass(prepareAt - 1);
    const due = await ca.manager.rotate();
    expect(ca.states).toEqual({ x509: 'A active', jwt: 'A active' });
    expect(due.getTime()).toBe(now.getTime() + 1000);

    pass(1);
    await ca.manager.rotate();
    expect(ca.states).toEqual({ x509: 'A active, B prepared', jwt: 'A active, B prepared' });
    expect(ca.ids).toEqual(first);
    expect(await ca.bundleSizes()).toEqual([2, 2]);

    pass(activateAt - prepareAt - 1);
    expect((await ca.manager.rotate()).getTime()).toBe(now.getTime() + 1000);
    expect(ca.ids).toEqual(first);
    pass(1);
    await ca.manager.rotate();
    expect(ca.states).toEqual({ x509: 'A old, B active', jwt: 'A old, B active' });
    expect(ca.ids.some((id) => first.includes(id))).toBe(false);
    expect(await ca.bundleSizes()).toEqual([2, 2]);
  });

  test('goes on, slot after slot, and prunes the bundle a day after an end', async () => {
    await using ca = await open({ ttlSeconds: 6 * HOUR });
    const seen = new Set(ca.ids);
    for (let hour = 0; hour < 72; hour += 1) {
      pass(HOUR);
      await ca.manager.rotate();
      for (const id of ca.ids) seen.add(id);
      const { chain } = await issue(ca);
      expect(validateX509Svid(chain, ca.bundle.current, now).spiffeId).toBe('spiffe://example.org/web');
    }
    expect(seen.size).toBe(2 * 24); // each is prepared 3 hours after the one before
    // Valid for 6 hours and kept for 24 more.
    for (const size of await ca.bundleSizes()) expect([10, 11]).toContain(size);
  });

  test('an SVID of the authority before verifies after the change', async () => {
    await using ca = await open();
    pass((DAY * 5) / 6 - 60);
    await ca.manager.rotate();
    const { chain } = await issue(ca, HOUR);
    const { token } = await ca.issuer.issueJwt({
      spiffeId: parseSpiffeId('spiffe://example.org/web'),
      audience: ['a'],
      ttlSeconds: HOUR,
      includeJti: false,
    });
    const before = ca.ids;
    pass(120);
    await ca.manager.rotate();
    expect(ca.ids).not.toEqual(before);
    validateX509Svid(chain, ca.bundle.current, now);
    validateJwtSvid(token, 'a', () => ca.bundle.current, now);
  });

  test('two at once do the work once', async () => {
    await using ca = await open();
    pass(DAY / 2);
    await Promise.allSettled([ca.manager.rotate(), ca.manager.rotate()]);
    expect(ca.states).toEqual({ x509: 'A active, B prepared', jwt: 'A active, B prepared' });
    expect(await ca.bundleSizes()).toEqual([2, 2]);
    pass(DAY / 3);
    await ca.manager.rotate();
    await issue(ca);
  });
});

test('what another server of the same database revoked signs no more, well before it is looked for', async () => {
  await using ca = await open();
  const [x509Id = '', jwtId = ''] = ca.ids;
  const { bundles } = ca.datastore;
  const { trustDomain } = ca.bundle.current;
  await bundles.taintX509Authority(trustDomain, x509Id);
  await bundles.revokeX509Authority(trustDomain, x509Id);
  await ca.bundle.refresh(); // as news of it make the server do
  await expect.poll(() => ca.ids[0]).not.toBe(x509Id);
  expect(ca.ids[1]).toBe(jwtId);
  const { chain } = await issue(ca);
  validateX509Svid(chain, ca.bundle.current, now);
  await bundles.taintJwtAuthority(trustDomain, jwtId);
  await bundles.revokeJwtAuthority(trustDomain, jwtId);
  await ca.bundle.refresh();
  await expect.poll(() => ca.ids[1]).not.toBe(jwtId);
});

describe('a restart', () => {
  test('with keys on disk goes on with the same authorities', async () => {
    const { ids, states } = await atPrepared('disk');
    await using again = await open();
    expect([again.ids, again.states]).toEqual([ids, states]);
    expect(await again.bundleSizes()).toEqual([2, 2]);
    await issue(again);
  });

  test('with keys in memory has new ones, and the bundle keeps the old', async () => {
    const { ids } = await atPrepared('memory');
    await using again = await open({ keyManager: 'memory' });
    expect(again.ids.some((id) => ids.includes(id))).toBe(false);
    expect(await again.bundleSizes()).toEqual([3, 3]);
    await issue(again);
    pass(DAY);
    await again.manager.rotate();
    await issue(again);
  });

  test.each([
    ['when the next was due', (DAY * 5) / 6],
    ['when all had ended', 2 * DAY],
    ['when all had ended long ago', 40 * DAY],
    ['before the first was made, by a clock that was wrong', -40 * DAY],
  ])('%s is ready to sign', async (_what, seconds) => {
    await atPrepared('disk');
    pass(seconds);
    await using again = await open();
    const { chain } = await issue(again);
    if (seconds > 0) validateX509Svid(chain, again.bundle.current, now);
    await again.manager.rotate();
    await issue(again);
  });

  test('with a bundle that lost the authority makes a new one', async () => {
    const { ids } = await atPrepared('disk');
    {
      await using ca = await open();
      await ca.datastore.bundles.delete(ca.bundle.current.trustDomain);
    }
    await using again = await open();
    expect(again.ids.some((id) => ids.includes(id))).toBe(false);
    const { chain } = await issue(again);
    validateX509Svid(chain, again.bundle.current, now);
  });

  async function atPrepared(keyManager: 'memory' | 'disk') {
    await using ca = await open({ keyManager });
    pass(DAY / 2);
    await ca.manager.rotate();
    return { ids: ca.ids, states: ca.states };
  }
});

describe('what it signs', () => {
  test.each([
    [60, 60],
    [2 * DAY, DAY],
  ])('with a TTL of %d s lives %d s, no longer than the authority (B003)', async (ttlSeconds, seconds) => {
    await using ca = await open();
    const { chain, expiresAt } = await issue(ca, ttlSeconds);
    const [leaf] = chain.map(parseCertificate);
    expect(leaf?.notAfter.getTime()).toBe(expiresAt * 1000);
    expect(expiresAt * 1000 - now.getTime()).toBe(seconds * 1000);
    expect(now.getTime() - (leaf?.notBefore.getTime() ?? 0)).toBe(10_000);
    expect(leaf && ca.manager.x509.certificate.notAfter >= leaf.notAfter).toBe(true);
  });

  test('no authority, no SVID', async () => {
    await using ca = await open();
    pass(DAY);
    await expect(issue(ca)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  test.each(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'] as const)('openssl verifies, with %s', async (keyType) => {
    await using ca = await open({ keyType, clock: () => new Date() });
    using openssl = new OpenSslFolder();
    openssl.write('ca.pem', encodePem('CERTIFICATE', ca.manager.x509.certificate.der));
    const { chain } = await issue(ca);
    openssl.write('svid.pem', chain.map((der) => encodePem('CERTIFICATE', der)).join(''));
    expect(openssl.run('verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', 'ca.pem', 'svid.pem')).toBe(
      'svid.pem: OK\n',
    );
    const text = openssl.run('x509', '-in', 'ca.pem', '-noout', '-text');
    expect(text).toContain('URI:spiffe://example.org');
    expect(text).toContain(keyType.startsWith('ec') ? 'ecdsa-with-SHA' : 'sha256WithRSAEncryption');
  });
});

test('a JWT authority of a server below that was revoked is not published again, after a restart neither', async () => {
  const authority = {
    keyId: 'below',
    publicKey: newPublicKey(),
    expiresAt: now.getTime() / 1000 + DAY,
    tainted: false,
  };
  await using ca = await open();
  await ca.manager.publishJwtAuthority(authority);
  await ca.bundle.taintJwt('below');
  await ca.bundle.revokeJwt('below');
  await ca[Symbol.asyncDispose]();
  await using again = await open();
  await expect(again.manager.publishJwtAuthority(authority)).rejects.toThrow(
    'the JWT authority "below" was revoked: make another key',
  );
  expect(again.bundle.current.jwtAuthorities.map(({ keyId }) => keyId)).not.toContain('below');
});

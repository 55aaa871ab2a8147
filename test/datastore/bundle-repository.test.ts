import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Datastore } from '../../src/datastore/datastore.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { engines, type TestDatabase } from './engines.ts';
import { bundleOf, id, jwtAuthority, newEntry, type TestAuthority, TRUST_DOMAIN, x509Authority } from './fixtures.ts';

const ALPHA = parseTrustDomain('alpha.test');

describe.each(engines)('bundles on $name', (engine) => {
  let short: TestAuthority;
  let long: TestAuthority;
  let database: TestDatabase;
  let datastore: Datastore;
  beforeAll(async () => {
    short = await x509Authority(1);
    long = await x509Authority(100);
  });
  beforeEach(async () => {
    database = await engine.create();
    datastore = await database.open();
  });
  afterEach(() => database[Symbol.asyncDispose]());

  const own = () => bundleOf('example.org', [short.authority, long.authority], [jwtAuthority('a', 100)]);

  describe('create', () => {
    test('stores every field, in order', async () => {
      const bundle = { ...own(), refreshHintSeconds: 300, sequenceNumber: 2n ** 64n - 1n };
      await datastore.bundles.create(bundle);
      expect(bytesOf(await datastore.bundles.get(TRUST_DOMAIN))).toEqual(bytesOf(bundle));
    });

    test('refuses a second one', async () => {
      await datastore.bundles.create(own());
      await expect(datastore.bundles.create(own())).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    });
  });

  test('get refuses an unknown trust domain', async () => {
    await expect(datastore.bundles.get(ALPHA)).rejects.toMatchObject({ code: 'BUNDLE_NOT_FOUND' });
    expect(await datastore.bundles.find(ALPHA)).toBeUndefined();
  });

  describe('set', () => {
    test('creates', async () => {
      await datastore.bundles.set({ ...own(), sequenceNumber: 7n });
      expect((await datastore.bundles.get(TRUST_DOMAIN)).sequenceNumber).toBe(7n);
    });

    const rows = [
      ['the same content keeps the number', 5n, 0n, false, 5n],
      ['the same content takes a higher number', 5n, 9n, false, 9n],
      ['new content raises the number', 5n, 0n, true, 6n],
      ['new content raises an equal number', 5n, 5n, true, 6n],
      ['new content takes a higher number', 5n, 9n, true, 9n],
    ] as const;
    test.each(rows)('%s', async (_rule, before, given, isChanged, after) => {
      await datastore.bundles.create({ ...own(), sequenceNumber: before });
      const bundle = { ...own(), sequenceNumber: given, refreshHintSeconds: isChanged ? 60 : 0 };
      expect((await datastore.bundles.set(bundle)).sequenceNumber).toBe(after);
      expect(bytesOf(await datastore.bundles.get(TRUST_DOMAIN))).toEqual(bytesOf({ ...bundle, sequenceNumber: after }));
    });

    test('removes authorities that are not given', async () => {
      await datastore.bundles.create(own());
      await datastore.bundles.set(bundleOf('example.org', [long.authority]));
      expect(await datastore.bundles.get(TRUST_DOMAIN)).toMatchObject({
        x509Authorities: [{ tainted: false }],
        jwtAuthorities: [],
      });
    });
  });

  describe('append', () => {
    test('creates', async () => {
      await datastore.bundles.append(own());
      expect(bytesOf(await datastore.bundles.get(TRUST_DOMAIN))).toEqual(bytesOf(own()));
    });

    test('adds what is new, once', async () => {
      await datastore.bundles.create(bundleOf('example.org', [short.authority], [jwtAuthority('a')]));
      const added = bundleOf('example.org', [short.authority, long.authority], [jwtAuthority('b'), jwtAuthority('a')]);
      const merged = await datastore.bundles.append(added);
      expect(merged.x509Authorities).toHaveLength(2);
      expect(merged.jwtAuthorities.map(({ keyId }) => keyId)).toEqual(['a', 'b']);
      expect(merged.sequenceNumber).toBe(1n);
      expect((await datastore.bundles.append(added)).sequenceNumber).toBe(1n);
      expect(bytesOf(await datastore.bundles.get(TRUST_DOMAIN))).toEqual(bytesOf(merged));
    });
  });

  test('list is in the order of trust domains, in pages', async () => {
    for (const name of ['c.test', 'a.test', 'b.test']) await datastore.bundles.create(bundleOf(name));
    expect(await datastore.bundles.count()).toBe(3);
    expect((await datastore.bundles.list()).items.map((it) => it.trustDomain)).toEqual(['a.test', 'b.test', 'c.test']);
    const first = await datastore.bundles.list({ size: 2 });
    const second = await datastore.bundles.list({ size: 2, token: first.nextPageToken });
    expect([...first.items, ...second.items].map((it) => it.trustDomain)).toEqual(['a.test', 'b.test', 'c.test']);
    expect(second.nextPageToken).toBe('');
  });

  describe('delete', () => {
    beforeEach(async () => {
      await datastore.bundles.create(bundleOf('alpha.test', [short.authority], [jwtAuthority('a')]));
      await datastore.bundles.create(bundleOf('beta.test'));
      const beta = parseTrustDomain('beta.test');
      await datastore.entries.create(newEntry({ id: 'both', federatesWith: [ALPHA, beta] }));
      await datastore.entries.create(newEntry({ id: 'beta', spiffeId: id('b'), federatesWith: [beta] }));
    });

    test('restrict refuses while entries federate with it', async () => {
      await expect(datastore.bundles.delete(ALPHA)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
      await datastore.entries.delete('both');
      await datastore.bundles.delete(ALPHA);
      expect(await datastore.bundles.find(ALPHA)).toBeUndefined();
    });

    test('dissociate keeps the entries, each with a new revision and an event', async () => {
      await datastore.bundles.delete(ALPHA, 'dissociate');
      expect(await datastore.entries.get('both')).toMatchObject({ federatesWith: ['beta.test'], revisionNumber: 1 });
      expect(await datastore.entries.get('beta')).toMatchObject({ federatesWith: ['beta.test'], revisionNumber: 0 });
      expect((await datastore.entries.eventsAfter(2)).events).toMatchObject([{ kind: 'updated', key: 'both' }]);
    });

    test('delete takes the entries along, each with an event', async () => {
      await datastore.bundles.delete(ALPHA, 'delete');
      expect((await datastore.entries.list()).items.map((entry) => entry.id)).toEqual(['beta']);
      expect((await datastore.entries.eventsAfter(2)).events).toMatchObject([{ kind: 'deleted', key: 'both' }]);
    });

    test.each(['restrict', 'dissociate', 'delete'] as const)('%s refuses an unknown trust domain', async (mode) => {
      await expect(datastore.bundles.delete(parseTrustDomain('none.test'), mode)).rejects.toMatchObject({
        code: 'BUNDLE_NOT_FOUND',
      });
    });
  });

  describe('prune', () => {
    test('removes what expired and returns the new bundle', async () => {
      await datastore.bundles.create(
        bundleOf('example.org', [short.authority, long.authority], [jwtAuthority('old', 100), jwtAuthority('endless')]),
      );
      const pruned = await datastore.bundles.prune(TRUST_DOMAIN, short.expiresAt + 1);
      expect(pruned).toMatchObject({ sequenceNumber: 1n, jwtAuthorities: [{ keyId: 'endless' }] });
      expect(pruned?.x509Authorities.map(({ certificate }) => Buffer.from(certificate))).toEqual([
        Buffer.from(long.authority.certificate),
      ]);
      expect(bytesOf(await datastore.bundles.get(TRUST_DOMAIN))).toEqual(bytesOf(pruned));
    });

    test('tells that nothing expired', async () => {
      await datastore.bundles.create(own());
      expect(await datastore.bundles.prune(TRUST_DOMAIN, 100)).toBeUndefined();
      expect((await datastore.bundles.get(TRUST_DOMAIN)).sequenceNumber).toBe(0n);
    });

    test('keeps the X.509 authority that ends last when all expired', async () => {
      await datastore.bundles.create(own());
      const pruned = await datastore.bundles.prune(TRUST_DOMAIN, long.expiresAt + 1);
      expect(pruned?.x509Authorities.map(({ certificate }) => Buffer.from(certificate))).toEqual([
        Buffer.from(long.authority.certificate),
      ]);
    });

    test('refuses an unknown trust domain', async () => {
      await expect(datastore.bundles.prune(ALPHA, 0)).rejects.toMatchObject({ code: 'BUNDLE_NOT_FOUND' });
    });
  });

  describe('taint and revoke', () => {
    beforeEach(() => datastore.bundles.create(own()));

    test('an X.509 authority is tainted, then revoked', async () => {
      const tainted = await datastore.bundles.taintX509Authority(TRUST_DOMAIN, short.subjectKeyId.toUpperCase());
      expect(tainted.x509Authorities.map((it) => it.tainted)).toEqual([true, false]);
      expect(tainted.sequenceNumber).toBe(1n);
      expect(bytesOf(await datastore.bundles.get(TRUST_DOMAIN))).toEqual(bytesOf(tainted));
      const revoked = await datastore.bundles.revokeX509Authority(TRUST_DOMAIN, short.subjectKeyId);
      expect(revoked.x509Authorities.map((it) => it.tainted)).toEqual([false]);
      expect(revoked.sequenceNumber).toBe(2n);
    });

    test('a JWT authority is tainted, then revoked', async () => {
      const tainted = await datastore.bundles.taintJwtAuthority(TRUST_DOMAIN, 'a');
      expect(tainted.jwtAuthorities).toMatchObject([{ keyId: 'a', tainted: true }]);
      expect(bytesOf(await datastore.bundles.get(TRUST_DOMAIN))).toEqual(bytesOf(tainted));
      const revoked = await datastore.bundles.revokeJwtAuthority(TRUST_DOMAIN, 'a');
      expect(revoked.jwtAuthorities).toEqual([]);
    });

    test('each refuses what is out of order', async () => {
      const { bundles } = datastore;
      const refused = { code: 'FAILED_PRECONDITION' };
      await expect(bundles.revokeX509Authority(TRUST_DOMAIN, short.subjectKeyId)).rejects.toMatchObject(refused);
      await expect(bundles.revokeJwtAuthority(TRUST_DOMAIN, 'a')).rejects.toMatchObject(refused);
      await bundles.taintX509Authority(TRUST_DOMAIN, short.subjectKeyId);
      await bundles.taintJwtAuthority(TRUST_DOMAIN, 'a');
      await expect(bundles.taintX509Authority(TRUST_DOMAIN, short.subjectKeyId)).rejects.toMatchObject(refused);
      await expect(bundles.taintJwtAuthority(TRUST_DOMAIN, 'a')).rejects.toMatchObject(refused);
    });

    test('what was revoked stays out of what is appended for others, until it has expired', async () => {
      const { bundles } = datastore;
      await bundles.taintX509Authority(TRUST_DOMAIN, short.subjectKeyId);
      await bundles.revokeX509Authority(TRUST_DOMAIN, short.subjectKeyId);
      await bundles.taintJwtAuthority(TRUST_DOMAIN, 'a');
      await bundles.revokeJwtAuthority(TRUST_DOMAIN, 'a');
      const before = await bundles.get(TRUST_DOMAIN);
      const again = async () => {
        const { bundle, revoked } = await bundles.appendUnrevoked(own());
        expect(bytesOf(bundle)).toEqual(bytesOf(await bundles.get(TRUST_DOMAIN)));
        return { left: bytesOf(bundle.x509Authorities), revoked: bytesOf(revoked) };
      };
      const stayedOut = { x509Authorities: [short.authority], jwtAuthorities: [jwtAuthority('a', 100)] };
      expect(await again()).toEqual({ left: bytesOf(before.x509Authorities), revoked: bytesOf(stayedOut) });
      await bundles.prune(TRUST_DOMAIN, 101); // the key is forgotten, the certificate is not
      expect((await bundles.appendUnrevoked(own())).revoked.jwtAuthorities).toEqual([]);
      expect((await bundles.get(TRUST_DOMAIN)).jwtAuthorities).toMatchObject([{ keyId: 'a' }]);
      expect((await bundles.get(TRUST_DOMAIN)).x509Authorities).toHaveLength(1);
    });

    test('an administrator brings back what was revoked', async () => {
      const { bundles } = datastore;
      await bundles.taintX509Authority(TRUST_DOMAIN, short.subjectKeyId);
      await bundles.revokeX509Authority(TRUST_DOMAIN, short.subjectKeyId);
      expect((await bundles.append(own())).x509Authorities).toHaveLength(2);
      const { revoked } = await bundles.appendUnrevoked(own());
      expect(revoked.x509Authorities).toEqual([]);
    });

    const methods = ['taintX509Authority', 'revokeX509Authority', 'taintJwtAuthority', 'revokeJwtAuthority'] as const;
    test.each(methods)('%s refuses an unknown key and trust domain', async (method) => {
      await expect(datastore.bundles[method](TRUST_DOMAIN, '00')).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
      await expect(datastore.bundles[method](ALPHA, '00')).rejects.toMatchObject({ code: 'BUNDLE_NOT_FOUND' });
    });
  });
});

/** Bytes as text, since a Buffer and a Uint8Array never compare equal. */
function bytesOf(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, it) => {
      if (typeof it === 'bigint') return String(it);
      if (it instanceof Uint8Array) return Buffer.from(it).toString('hex');
      return it?.type === 'Buffer' ? Buffer.from(it.data).toString('hex') : it;
    }),
  );
}

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Datastore } from '../../src/datastore/datastore.ts';
import type { FederationRelationship } from '../../src/datastore/federation-relationship-repository.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { engines, type TestDatabase } from './engines.ts';

describe.each(engines)('server state on $name', (engine) => {
  let database: TestDatabase;
  let datastore: Datastore;
  beforeEach(async () => {
    database = await engine.create();
    datastore = await database.open();
  });
  afterEach(() => database[Symbol.asyncDispose]());

  describe('join tokens', () => {
    test('are found, and consumed once', async () => {
      await datastore.joinTokens.create({ token: 'secret', expiresAt: 5 });
      expect(await datastore.joinTokens.find('secret')).toEqual({ token: 'secret', expiresAt: 5 });
      expect(await datastore.joinTokens.consume('secret')).toEqual({ token: 'secret', expiresAt: 5 });
      expect(await datastore.joinTokens.find('secret')).toBeUndefined();
    });

    test('of many callers at the same time one gets the token', async () => {
      await datastore.joinTokens.create({ token: 'secret', expiresAt: 5 });
      const calls = Array.from({ length: 10 }, () => datastore.joinTokens.consume('secret'));
      const outcomes = (await Promise.allSettled(calls)).map(({ status }) => status);
      expect(outcomes.filter((status) => status === 'fulfilled')).toHaveLength(1);
    });

    test('an unknown one is refused without naming it', async () => {
      const refusal = datastore.joinTokens.consume('wrong-secret');
      await expect(refusal).rejects.toMatchObject({
        code: 'JOIN_TOKEN_NOT_FOUND',
        message: expect.not.stringContaining('wrong-secret'),
      });
    });

    test('a second one of the same text is refused', async () => {
      await datastore.joinTokens.create({ token: 'secret', expiresAt: 5 });
      await expect(datastore.joinTokens.create({ token: 'secret', expiresAt: 9 })).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
      });
    });

    test('prune deletes what expired', async () => {
      const now = database.clock.seconds;
      await datastore.joinTokens.create({ token: 'past', expiresAt: now - 1 });
      await datastore.joinTokens.create({ token: 'now', expiresAt: now });
      expect(await datastore.joinTokens.pruneExpired()).toBe(1);
      expect(await datastore.joinTokens.find('past')).toBeUndefined();
      expect(await datastore.joinTokens.find('now')).toBeDefined();
    });
  });

  describe('CA journals', () => {
    const record = { name: 'server-a', activeX509AuthorityId: 'aa', data: Uint8Array.of(0, 1, 255), version: 0 };

    test('are created, replaced whole, and found by name and by authority', async () => {
      const first = await datastore.caJournal.set(record);
      expect(first).toEqual({ ...record, version: 1, updatedAt: database.clock.seconds });
      database.clock.seconds += 5;
      const second = await datastore.caJournal.set({ ...first, activeX509AuthorityId: 'bb', data: Uint8Array.of(7) });
      expect(second).toMatchObject({ version: 2, data: Uint8Array.of(7), updatedAt: database.clock.seconds });
      expect(await datastore.caJournal.find('server-a')).toEqual(second);
      expect(await datastore.caJournal.findByActiveX509Authority('bb')).toEqual(second);
      expect(await datastore.caJournal.findByActiveX509Authority('aa')).toBeUndefined();
    });

    test.each([0, 2])('one of version 1 is not replaced as version %s', async (version) => {
      await datastore.caJournal.set(record);
      await expect(datastore.caJournal.set({ ...record, version })).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
      });
      expect(await datastore.caJournal.find('server-a')).toMatchObject({ version: 1 });
    });

    test('are listed by name, and deleted', async () => {
      await datastore.caJournal.set({ ...record, name: 'b' });
      await datastore.caJournal.set({ ...record, name: 'a' });
      expect((await datastore.caJournal.list()).map(({ name }) => name)).toEqual(['a', 'b']);
      await datastore.caJournal.delete('a');
      await datastore.caJournal.delete('a');
      expect(await datastore.caJournal.find('a')).toBeUndefined();
    });

    test('an empty record is a record', async () => {
      await datastore.caJournal.set({ ...record, data: new Uint8Array() });
      expect((await datastore.caJournal.find('server-a'))?.data).toEqual(new Uint8Array());
    });
  });

  describe('federation relationships', () => {
    const trustDomain = parseTrustDomain('alpha.test');
    const web: FederationRelationship = {
      trustDomain,
      bundleEndpointUrl: 'https://alpha.test/bundle',
      profile: { type: 'https_web' },
    };
    const spiffe: FederationRelationship = {
      ...web,
      profile: { type: 'https_spiffe', endpointSpiffeId: parseSpiffeId('spiffe://alpha.test/spire/server') },
    };

    test.each([web, spiffe])('keep profile $profile.type', async (relationship) => {
      await datastore.federationRelationships.create(relationship);
      expect(await datastore.federationRelationships.get(trustDomain)).toEqual(relationship);
    });

    test('a second one of the same trust domain is refused', async () => {
      await datastore.federationRelationships.create(web);
      await expect(datastore.federationRelationships.create(spiffe)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    });

    test('update replaces what is given', async () => {
      await datastore.federationRelationships.create(web);
      const { profile } = spiffe;
      expect(await datastore.federationRelationships.update(trustDomain, { profile })).toEqual(spiffe);
      expect(await datastore.federationRelationships.get(trustDomain)).toEqual(spiffe);
    });

    test('list is in the order of trust domains, in pages', async () => {
      for (const name of ['c.test', 'a.test', 'b.test']) {
        await datastore.federationRelationships.create({ ...web, trustDomain: parseTrustDomain(name) });
      }
      const first = await datastore.federationRelationships.list({ size: 2 });
      const second = await datastore.federationRelationships.list({ size: 2, token: first.nextPageToken });
      const names = [...first.items, ...second.items].map((it) => it.trustDomain);
      expect(names).toEqual(['a.test', 'b.test', 'c.test']);
    });

    test.each(['get', 'delete'] as const)('%s refuses an unknown trust domain', async (method) => {
      await expect(datastore.federationRelationships[method](trustDomain)).rejects.toMatchObject({
        code: 'FEDERATION_NOT_FOUND',
      });
    });

    test('delete takes it away', async () => {
      await datastore.federationRelationships.create(web);
      await datastore.federationRelationships.delete(trustDomain);
      expect(await datastore.federationRelationships.find(trustDomain)).toBeUndefined();
      await expect(datastore.federationRelationships.update(trustDomain, {})).rejects.toMatchObject({
        code: 'FEDERATION_NOT_FOUND',
      });
    });
  });
});

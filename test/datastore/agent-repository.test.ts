import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AgentFilter } from '../../src/datastore/agent-filter.ts';
import type { AgentChanges } from '../../src/datastore/agent-repository.ts';
import type { Datastore } from '../../src/datastore/datastore.ts';
import { engines, type TestDatabase } from './engines.ts';
import { id, newAgent, selectors } from './fixtures.ts';

const NODE = id('spire/agent/tpm/node');

describe.each(engines)('agents on $name', (engine) => {
  let database: TestDatabase;
  let datastore: Datastore;
  beforeEach(async () => {
    database = await engine.create();
    datastore = await database.open();
  });
  afterEach(() => database[Symbol.asyncDispose]());

  test('create stores every field', async () => {
    const agent = await datastore.agents.create(newAgent());
    expect(agent).toEqual({
      ...newAgent(),
      newSerialNumber: '',
      newExpiresAt: 0,
      banned: false,
      agentVersion: '',
      lastSeenAt: 0,
    });
    expect(await datastore.agents.get(NODE)).toEqual(agent);
  });

  test('create refuses an agent that exists', async () => {
    await datastore.agents.create(newAgent());
    await expect(datastore.agents.create(newAgent())).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    expect(await datastore.agents.latestEvent()).toBe(1);
  });

  const changes: readonly (readonly [string, AgentChanges])[] = [
    ['attestation type', { attestationType: 'join_token' }],
    ['the SVID in use', { serialNumber: '99', expiresAt: 5 }],
    ['the prepared SVID', { newSerialNumber: '100', newExpiresAt: 6 }],
    ['re-attestation', { canReattest: false }],
    ['selectors', { selectors: selectors('tpm:b', 'tpm:a') }],
    ['selectors with none', { selectors: [] }],
  ];
  test.each(changes)('update replaces %s alone', async (_what, change) => {
    const agent = await datastore.agents.create(newAgent());
    expect(await datastore.agents.update(NODE, change)).toEqual({ ...agent, ...change });
    expect(await datastore.agents.get(NODE)).toEqual({ ...agent, ...change });
  });

  describe('a renewed SVID', () => {
    const shown = () => newAgent().serialNumber;
    const renewed = { serialNumber: '100', expiresAt: 6 };

    test('takes the place of the one in use, once', async () => {
      const agent = await datastore.agents.create(newAgent());
      await datastore.agents.renew(NODE, shown(), renewed);
      expect(await datastore.agents.get(NODE)).toEqual({ ...agent, newSerialNumber: '100', newExpiresAt: 6 });
      const used = { ...agent, ...renewed };
      expect(await datastore.agents.useRenewed(NODE, '100')).toEqual(used);
      expect(await datastore.agents.useRenewed(NODE, '100')).toEqual(used);
      expect(await datastore.agents.get(NODE)).toEqual(used);
    });

    test('is not issued to whoever shows another than the one in use', async () => {
      const agent = await datastore.agents.create(newAgent());
      await expect(datastore.agents.renew(NODE, '99', renewed)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
      expect(await datastore.agents.get(NODE)).toEqual(agent);
    });

    test.each([
      ['the agent attested again', () => datastore.agents.update(NODE, { serialNumber: '200', newSerialNumber: '' })],
      ['the agent was banned', () => datastore.agents.ban(NODE)],
    ])('counts no more where %s meanwhile', async (_what, change) => {
      await datastore.agents.create(newAgent());
      await datastore.agents.renew(NODE, shown(), renewed);
      await change();
      const agent = await datastore.agents.get(NODE);
      expect(await datastore.agents.useRenewed(NODE, '100')).toEqual(agent);
      expect(await datastore.agents.get(NODE)).toEqual(agent);
    });
  });

  test('setSelectors replaces them; a repeated one counts once', async () => {
    await datastore.agents.create(newAgent());
    await datastore.agents.setSelectors(NODE, selectors('a:1', 'b:2', 'a:1'));
    expect((await datastore.agents.get(NODE)).selectors).toEqual(selectors('a:1', 'b:2'));
  });

  test('ban forgets the serial numbers, and lasts until the agent is deleted', async () => {
    await datastore.agents.create(newAgent());
    await datastore.agents.update(NODE, { newSerialNumber: '7', newExpiresAt: 8 });
    await datastore.agents.ban(NODE);
    expect(await datastore.agents.get(NODE)).toMatchObject({ banned: true, serialNumber: '', newSerialNumber: '' });
    await datastore.agents.delete(NODE);
    expect(await datastore.agents.create(newAgent())).toMatchObject({ banned: false });
  });

  test('recordSeen notes time and version without an event', async () => {
    await datastore.agents.create(newAgent());
    await datastore.agents.recordSeen(NODE, '1.2.3');
    database.clock.seconds += 5;
    await datastore.agents.recordSeen(NODE);
    await datastore.agents.recordSeen(id('spire/agent/tpm/none'));
    expect(await datastore.agents.get(NODE)).toMatchObject({
      agentVersion: '1.2.3',
      lastSeenAt: database.clock.seconds,
    });
    expect(await datastore.agents.latestEvent()).toBe(1);
  });

  const onUnknown: readonly (readonly [string, (datastore: Datastore) => Promise<unknown>])[] = [
    ['get', ({ agents }) => agents.get(NODE)],
    ['update', ({ agents }) => agents.update(NODE, {})],
    ['setSelectors', ({ agents }) => agents.setSelectors(NODE, [])],
    ['ban', ({ agents }) => agents.ban(NODE)],
    ['delete', ({ agents }) => agents.delete(NODE)],
  ];
  test.each(onUnknown)('%s refuses an unknown agent', async (_method, call) => {
    await expect(call(datastore)).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  });

  describe('list and count', () => {
    beforeEach(async () => {
      const agents = [
        newAgent({ spiffeId: id('1'), selectors: selectors('a:1'), expiresAt: 100 }),
        newAgent({ spiffeId: id('2'), selectors: selectors('a:1', 'b:2'), expiresAt: 200, canReattest: false }),
        newAgent({ spiffeId: id('3'), selectors: selectors('a:1', 'b:2', 'c:3'), attestationType: 'join_token' }),
        newAgent({ spiffeId: id('4'), selectors: [] }),
      ];
      for (const agent of agents) await datastore.agents.create(agent);
      await datastore.agents.ban(id('3'));
    });

    const ab = selectors('a:1', 'b:2');
    const filters: readonly (readonly [string, AgentFilter, string])[] = [
      ['nothing', {}, '1234'],
      ['attestation type', { attestationType: 'join_token' }, '3'],
      ['banned', { banned: true }, '3'],
      ['not banned', { banned: false }, '124'],
      ['can re-attest', { canReattest: true }, '134'],
      ['cannot re-attest', { canReattest: false }, '2'],
      ['expires before', { expiresBefore: 200 }, '1'],
      ['selectors, exact', { selectors: { match: 'exact', selectors: ab } }, '2'],
      ['selectors, subset', { selectors: { match: 'subset', selectors: ab } }, '12'],
      ['selectors, superset', { selectors: { match: 'superset', selectors: ab } }, '23'],
      ['selectors, any', { selectors: { match: 'any', selectors: selectors('c:3', 'd:4') } }, '3'],
      ['all conditions together', { banned: false, canReattest: true, expiresBefore: 101 }, '1'],
    ];
    test.each(filters)('by %s', async (_what, filter, wanted) => {
      const { items } = await datastore.agents.list(filter);
      expect(items.map((agent) => agent.spiffeId)).toEqual([...wanted].map(id));
      expect(await datastore.agents.count(filter)).toBe(wanted.length);
    });

    test('in pages', async () => {
      const first = await datastore.agents.list({}, { size: 3 });
      expect(first.items).toHaveLength(3);
      const second = await datastore.agents.list({}, { size: 3, token: first.nextPageToken });
      expect(second.items.map((agent) => agent.spiffeId)).toEqual([id('4')]);
      expect(second.nextPageToken).toBe('');
    });
  });

  describe('prune', () => {
    beforeEach(async () => {
      await datastore.agents.create(newAgent({ spiffeId: id('old'), expiresAt: 100 }));
      await datastore.agents.create(newAgent({ spiffeId: id('older'), expiresAt: 50 }));
      await datastore.agents.create(newAgent({ spiffeId: id('once'), expiresAt: 100, canReattest: false }));
      await datastore.agents.create(newAgent({ spiffeId: id('banned'), expiresAt: 100 }));
      await datastore.agents.ban(id('banned'));
      await datastore.agents.create(newAgent({ spiffeId: id('renewing'), expiresAt: 100 }));
      await datastore.agents.update(id('renewing'), { newSerialNumber: '2', newExpiresAt: 300 });
      await datastore.agents.create(newAgent({ spiffeId: id('current'), expiresAt: 200 }));
    });

    const rows = [
      ['those that can come back by themselves', { expiredBefore: 200 }, ['older', 'old']],
      ['the others if asked', { expiredBefore: 200, includeNonReattestable: true }, ['older', 'old', 'once']],
      ['the oldest up to a limit', { expiredBefore: 200, limit: 1 }, ['older']],
      ['nothing before its time', { expiredBefore: 50 }, []],
    ] as const;
    test.each(rows)('deletes %s', async (_what, options, wanted) => {
      const before = await datastore.agents.latestEvent();
      const pruned = await datastore.agents.prune(options);
      expect([...pruned].sort()).toEqual(wanted.map(id).sort());
      expect(await datastore.agents.count()).toBe(6 - wanted.length);
      const { events } = await datastore.agents.eventsAfter(before);
      expect(events.map((event) => [event.kind, event.key])).toEqual(pruned.map((it) => ['deleted', it]));
    });
  });

  test('events tell each change in order', async () => {
    await datastore.agents.create(newAgent());
    await datastore.agents.setSelectors(NODE, []);
    await datastore.agents.ban(NODE);
    await datastore.agents.delete(NODE);
    const { events } = await datastore.agents.eventsAfter(0);
    expect(events.map((event) => [event.sequence, event.kind, event.key])).toEqual([
      [1, 'created', NODE],
      [2, 'updated', NODE],
      [3, 'updated', NODE],
      [4, 'deleted', NODE],
    ]);
    database.clock.seconds += 10;
    expect(await datastore.agents.pruneEvents(5)).toBe(4);
    expect(await datastore.agents.eventsAfter(0)).toEqual({ events: [], missed: true });
    expect(await datastore.entries.latestEvent()).toBe(0);
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Attempt } from '../../src/datastore/attempt-repository.ts';
import type { Datastore } from '../../src/datastore/datastore.ts';
import { engines, type TestDatabase } from './engines.ts';

const attempt = (changes: Partial<Attempt> = {}): Attempt => ({
  attestationType: 'tpm',
  address: '192.0.2.1',
  agentId: '',
  attested: false,
  reason: 'A4: no',
  count: 1,
  firstAt: 100,
  lastAt: 100,
  ...changes,
});
const FAILED = { attested: false };

describe.each(engines)('attempts on $name', (engine) => {
  let database: TestDatabase;
  let datastore: Datastore;
  beforeEach(async () => {
    database = await engine.create();
    datastore = await database.open();
  });
  afterEach(() => database[Symbol.asyncDispose]());

  test('those that are alike are one', async () => {
    const { attempts } = datastore;
    await attempts.add([attempt({ count: 2 }), attempt({ reason: 'other' })]);
    await attempts.add([attempt({ count: 3, firstAt: 200, lastAt: 250 })]);
    expect(await attempts.list(FAILED, 10)).toEqual([attempt({ count: 5, lastAt: 250 }), attempt({ reason: 'other' })]);
  });

  test('are found by attestor, address and what came of them, the newest first', async () => {
    const { attempts } = datastore;
    const well = attempt({ attested: true, agentId: 'spiffe://example.org/spire/agent/tpm/1', reason: '' });
    const byToken = attempt({ attestationType: 'join_token', lastAt: 300 });
    const elsewhere = attempt({ address: '2001:db8::1', lastAt: 200 });
    await attempts.add([well, attempt(), byToken, elsewhere]);
    expect(await attempts.list(FAILED, 10)).toEqual([byToken, elsewhere, attempt()]);
    expect(await attempts.list(FAILED, 1)).toEqual([byToken]);
    expect(await attempts.list({ ...FAILED, attestationType: 'tpm' }, 10)).toEqual([elsewhere, attempt()]);
    expect(await attempts.list({ ...FAILED, address: '2001:db8::1' }, 10)).toEqual([elsewhere]);
    expect(await attempts.list({ attested: true }, 10)).toEqual([well]);
  });

  test('are forgotten when they are old or too many, of one address or in all', async () => {
    const { attempts } = datastore;
    database.clock.seconds = 1_000_000;
    const lastAt = (n: number) => 900_000 + n;
    const flood = Array.from({ length: 20 }, (_, n) =>
      attempt({ address: '198.51.100.1', reason: `${n}`, lastAt: lastAt(n) }),
    );
    const well = Array.from({ length: 3 }, (_, n) => attempt({ attested: true, agentId: `${n}`, lastAt: lastAt(n) }));
    await attempts.add([...flood, ...well, attempt(), attempt({ address: '203.0.113.1', lastAt: lastAt(0) })]);
    const limits = { rows: 10, rowsPerAddress: 4, olderThanSeconds: 500_000 };
    expect(await attempts.prune(limits)).toBe(16 + 1);
    const kept = await attempts.list(FAILED, 100);
    expect(kept.map(({ reason }) => reason)).toEqual(['19', '18', '17', '16', 'A4: no']);
    expect(await attempts.list({ attested: true }, 100)).toHaveLength(3);
    expect(await attempts.prune({ ...limits, rows: 2 })).toBe(3 + 1);
    expect(await attempts.prune({ ...limits, rows: 2 })).toBe(0);
  });
});

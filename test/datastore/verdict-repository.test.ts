import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Datastore } from '../../src/datastore/datastore.ts';
import { MAX_VERDICTS, type RecordedVerdict } from '../../src/datastore/verdict-repository.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { engines, type TestDatabase } from './engines.ts';

const agentId = parseSpiffeId('spiffe://example.org/spire/agent/tpm/1');
const other = parseSpiffeId('spiffe://example.org/spire/agent/tpm/2');
const verdict = (changes: Partial<RecordedVerdict> = {}): RecordedVerdict => ({
  agentId,
  verdict: 'held',
  reason: '',
  policies: ['policy:a', 'policy_version:3'],
  evidenceSha256: 'ab',
  count: 1,
  firstAt: 100,
  lastAt: 100,
  ...changes,
});

describe.each(engines)('verdicts on $name', (engine) => {
  let database: TestDatabase;
  let datastore: Datastore;
  beforeEach(async () => {
    database = await engine.create();
    datastore = await database.open();
  });
  afterEach(() => database[Symbol.asyncDispose]());

  test('that follow each other and are alike are one, the newest first', async () => {
    const { verdicts } = datastore;
    expect(await verdicts.record(verdict())).toEqual({ isChange: true, before: undefined });
    const alike = await verdicts.record(verdict({ lastAt: 110, count: 4, evidenceSha256: 'cd' }));
    expect(alike).toEqual({ isChange: false, before: undefined });
    await verdicts.record(verdict({ agentId: other }));
    const lost = verdict({ verdict: 'lost', policies: [], reason: 'why', firstAt: 120, lastAt: 120 });
    const { policies } = verdict();
    expect(await verdicts.record(lost)).toEqual({ isChange: true, before: { verdict: 'held', policies } });
    const again = await verdicts.record(verdict({ firstAt: 130, lastAt: 130 }));
    expect(again).toEqual({ isChange: true, before: { verdict: 'lost', policies: [] } });
    expect(await verdicts.list(agentId, 10)).toEqual([
      verdict({ firstAt: 130, lastAt: 130 }),
      lost,
      verdict({ lastAt: 110, count: 5, evidenceSha256: 'cd' }),
    ]);
    expect(await verdicts.list(agentId, 1)).toHaveLength(1);
  });

  test('are forgotten when there are too many of one agent, or when they are old', async () => {
    const { verdicts } = datastore;
    database.clock.seconds = 1_000_000;
    await verdicts.record(verdict({ agentId: other, lastAt: 999_990 }));
    for (let number = 0; number < MAX_VERDICTS + 5; number++) await verdicts.record(verdict({ reason: `${number}` }));
    const kept = await verdicts.list(agentId, 1000);
    expect(kept).toHaveLength(MAX_VERDICTS);
    expect(kept.at(-1)?.reason).toBe('5');
    await verdicts.prune(100);
    expect(await verdicts.list(agentId, 10)).toEqual([]);
    expect(await verdicts.list(other, 10)).toHaveLength(1);
  });

  test('tell which agents are silent that once showed evidence', async () => {
    const { verdicts, agents } = datastore;
    const ids = ['held', 'changed', 'lost', 'attested', 'recent', 'banned', 'overdue'].map((name) => ({
      name,
      id: parseSpiffeId(`spiffe://example.org/spire/agent/tpm/${name}`),
    }));
    for (const { name, id } of ids) {
      await agents.create({
        spiffeId: id,
        attestationType: 'tpm',
        serialNumber: '1',
        expiresAt: 9e9,
        canReattest: true,
        selectors: [],
      });
      const first = name === 'lost' || name === 'overdue' || name === 'attested' ? name : 'held';
      await verdicts.record(verdict({ agentId: id, verdict: first, lastAt: name === 'recent' ? 500 : 100 }));
      if (name === 'changed') await verdicts.record(verdict({ agentId: id, verdict: name, lastAt: 101 }));
      if (name === 'banned') await agents.ban(id);
    }
    const silent = (await verdicts.overdue('tpm', 500, 10)).map((id) => id.split('/').at(-1));
    expect(silent).toEqual(['changed', 'held']);
    expect(await verdicts.overdue('tpm', 500, 1)).toHaveLength(1);
    expect(await verdicts.overdue('x509pop', 500, 10)).toEqual([]);
  });
});

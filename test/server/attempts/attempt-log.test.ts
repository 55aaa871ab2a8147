import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Datastore, openDatastore } from '../../../src/datastore/datastore.ts';
import { Logger } from '../../../src/log/logger.ts';
import { AttemptLog } from '../../../src/server/attempts/attempt-log.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';

const resources = new AsyncDisposableStack();
let datastore: Datastore;

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  datastore = resources.use(await openDatastore({ path: folder.join('datastore.sqlite3') }));
});
afterAll(() => resources.disposeAsync());

const openLog = () =>
  new AttemptLog({
    attempts: datastore.attempts,
    leads: () => true,
    log: new Logger(() => {}, 'error'),
    clock: () => new Date(),
  });
const denied = (changes: object) => ({
  attestationType: 'tpm',
  address: '192.0.2.1',
  agentId: '',
  attested: false,
  reason: 'no',
  ...changes,
});

describe('what strangers say', () => {
  test('is cut, and does not speak to a terminal or end a text', async () => {
    await using log = openLog();
    const reason = `\u001b[2J\0\u202e\ud800${'x'.repeat(100_000)}`;
    log.record(denied({ attestationType: 'y'.repeat(10_000), address: '192.0.2.9', reason }));
    const [attempt] = await log.list({ attested: false, address: '192.0.2.9' }, 1);
    expect(attempt?.reason).toMatch(/^\\u001b\[2J\\u0000\\u202e\ufffdx{400,500}…$/);
    expect(attempt?.attestationType).toBe(`${'y'.repeat(64)}…`);
  });

  test('a flood costs one write of a limited size', async () => {
    await using log = openLog();
    for (let n = 0; n < 100_000; n += 1) {
      log.record(denied({ address: `10.${n & 255}.${(n >> 8) & 255}.1`, reason: `reason ${n}` }));
    }
    expect(await log.list({ attested: false }, 100_000)).toHaveLength(512 + 1);
  });

  test('of one network only a few kinds are kept, and all of one kind are counted', async () => {
    await using log = openLog();
    for (let n = 0; n < 1000; n += 1) {
      log.record(denied({ address: `2001:db8::${n.toString(16)}`, reason: 'a' }));
      log.record(denied({ address: '192.0.2.77', reason: 'the same' }));
    }
    const all = await log.list({ attested: false }, 100_000);
    expect(all.filter(({ address }) => address.startsWith('2001:db8::'))).toHaveLength(16);
    expect(all.filter(({ address }) => address === '192.0.2.77')).toMatchObject([{ count: 1000 }]);
  });
});

import { expect, test } from 'vitest';
import { type HealthCheck, HealthChecks } from '../../src/http/health-checks.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';

function create(checks: readonly HealthCheck[], limits: { freshMs?: number; timeLimitMs?: number } = {}) {
  const records: LogRecord[] = [];
  return {
    health: new HealthChecks({ checks, log: new Logger((record) => records.push(record)), ...limits }),
    records,
  };
}

const well = async () => {};
const GOOD = { isLive: true, isReady: true, liveDetails: {}, readyDetails: {} };

test('every subsystem has its state, in order of names', async () => {
  const reason = 'the disk is full';
  const failing = async () => Promise.reject(new SpiffeError('FILE_UNUSABLE', reason));
  const { health } = create([
    { name: 'c', reasonKey: 'c_err', check: failing, isLiveAnyway: () => true },
    { name: 'b', reasonKey: 'b_err', check: failing },
    { name: 'a', reasonKey: 'a_err', check: well },
  ]);
  expect([...(await health.current())]).toEqual([
    ['a', GOOD],
    ['b', { isLive: false, isReady: false, liveDetails: { b_err: reason }, readyDetails: { b_err: reason } }],
    ['c', { isLive: true, isReady: false, liveDetails: {}, readyDetails: { c_err: reason } }],
  ]);
});

test('what is none of our errors is for the log alone', async () => {
  const check = async () => Promise.reject(new Error('/a/secret/path'));
  const { health, records } = create([{ name: 'a', reasonKey: 'a_err', check }]);
  expect((await health.current()).get('a')?.readyDetails).toEqual({ a_err: 'internal error, see the log' });
  expect(records).toMatchObject([
    { level: 'warning', message: 'a health check failed', fields: { check: 'a', reason: '/a/secret/path' } },
  ]);
});

test('the log is told of changes alone', async () => {
  let error: Error | undefined = new SpiffeError('PLUGIN_EXITED', 'gone');
  const check = async () => {
    if (error !== undefined) throw error;
  };
  const { health, records } = create([{ name: 'a', reasonKey: 'a_err', check }], { freshMs: 0 });
  await health.current();
  await health.current();
  error = undefined;
  expect((await health.current()).get('a')).toEqual(GOOD);
  await health.current();
  expect(records.map(({ message }) => message)).toEqual(['a health check failed', 'a health check passes again']);
});

test('who asks at once, and who asks again soon, shares the work', async () => {
  let asked = 0;
  const check = async () => {
    asked += 1;
  };
  const { health } = create([{ name: 'a', reasonKey: 'a_err', check }], { freshMs: 60_000 });
  await Promise.all([health.current(), health.current()]);
  await health.current();
  expect(asked).toBe(1);
});

test('a subsystem that hangs is not healthy, keeps nobody waiting, and is not asked a second time meanwhile', async () => {
  let asked = 0;
  const hung = Promise.withResolvers<void>();
  const check = () => {
    asked += 1;
    return hung.promise;
  };
  const checks = [
    { name: 'a', reasonKey: 'a_err', check },
    { name: 'b', reasonKey: 'b_err', check: well },
  ];
  const { health } = create(checks, { freshMs: 0, timeLimitMs: 20 });
  await health.current();
  const states = await health.current();
  expect(states.get('a')?.liveDetails).toEqual({ a_err: 'no answer within 0.02 s' });
  expect(states.get('b')).toEqual(GOOD);
  expect(asked).toBe(1);
  hung.resolve();
  await expect.poll(async () => (await health.current()).get('a')).toEqual(GOOD);
});

import { expect, test } from 'vitest';
import { measure } from '../../bench/driver/load.ts';
import { parseOptions } from '../../bench/options.ts';
import { cpuSecondsOf, memoryOf } from '../../bench/process/proc.ts';
import { formatAgent } from '../../bench/report/agent.ts';
import { formatResults } from '../../bench/report/tables.ts';
import { median, quantile } from '../../bench/results.ts';

test('quantiles are values that occurred', () => {
  expect([quantile([1, 2, 3, 4], 0.5), quantile([1, 2, 3, 4], 0.99), median([9, 1, 5])]).toEqual([2, 3, 5]);
});

test.each([['--seconds', '0'], ['--callers', 'many'], ['--unknown']])('refuses %s %s', (...args) => {
  expect(() => parseOptions(args)).toThrow(args[0]?.slice(2));
});

test('a process has used time and memory', () => {
  expect(cpuSecondsOf(process.pid)).toBeGreaterThan(0);
  const { rssMiB, pssMiB } = memoryOf(process.pid);
  expect(rssMiB).toBeGreaterThanOrEqual(pssMiB);
  expect(pssMiB).toBeGreaterThan(1);
});

test('a load counts what was answered and what failed, and becomes a row', async () => {
  let calls = 0;
  const options = {
    name: 'mint-jwt',
    callers: 2,
    seconds: 0.05,
    warmUpSeconds: 0,
    operationsACall: 10,
    processes: [{ name: 'this', pid: process.pid }],
  };
  const result = await measure(options, async () => {
    calls += 1;
    const number = calls;
    await new Promise((resolve) => setImmediate(resolve));
    if (number === 1) throw new Error('the first');
  });
  expect(result).toMatchObject({ operations: (calls - 1) * 10, errors: 1, firstError: 'the first' });
  const machine = { cpu: 'a CPU', cores: 2, memoryGiB: 4, kernel: '6', node: '24', loadBefore: 0 };
  const text = formatResults({
    takenAt: '2026-01-02T03:04:05Z',
    machine,
    secondsALoad: 1,
    loads: [result],
    starts: [],
    handshakes: [],
    pluginStarts: [],
    signing: [],
    hops: [],
    neighbours: [{ alone: result, beside: { ...result, name: 'burns CPU', perSecond: result.perSecond / 2 } }],
    pushes: [{ name: 'entry created', agents: 1000, timesMs: [30, 10, 20] }],
    memory: [],
  });
  expect(text).toMatch(/^\| mint-jwt \| +2 \| +[\d,]+ \| 3,640 \|/m);
  expect(text).toMatch(/^\| entry created \| +1,000 \| +3 \| +20\.0 \| +20\.0 \| +30\.0 \|/m);
  expect(text).toMatch(/^\| burns CPU +\|.*\| +50 \|/m);
});

test('what an agent costs becomes tables', () => {
  const machine = { cpu: 'a CPU', cores: 2, memoryGiB: 4, kernel: '6', node: '24', loadBefore: 0 };
  const rotation = (firstMs: number) => ({ firstMs, spreadMs: 100, cpuMicros: 50 });
  const processes = [
    { process: 'agent', rssMiB: 100, pssMiB: 70 },
    { process: 'agent-unix', rssMiB: 70, pssMiB: 30 },
  ];
  const results = {
    secondsALoad: 1,
    loads: [],
    streams: [
      {
        streams: 5000,
        connections: 50,
        rssKiB: 60.04,
        pssKiB: 59,
        idleCpuPercent: 1,
        rotations: [rotation(20), rotation(30), rotation(400)],
      },
    ],
    entries: [],
    memory: [{ when: 'started', processes }],
  };
  const text = formatAgent(results, machine, '2026-01-02T03:04:05Z');
  expect(text).toMatch(/^\| 5,000 +\| +50 \| +60\.0 \| +59\.0 \| +1\.0 \| +30 \| +130 \| +500 \| +50 \|$/m);
  expect(text).toMatch(/^\| started \| +agent 70, agent-unix 30 \| +100 \| +100 \|$/m);
  expect(text).not.toContain('Entries');
});

test('callers with an interval take their time', async () => {
  const options = { name: 'slow', callers: 2, seconds: 0.2, warmUpSeconds: 0, operationsACall: 1, processes: [] };
  const { operations } = await measure({ ...options, intervalMs: 50 }, async () => {});
  expect(operations).toBeGreaterThan(0);
  expect(operations).toBeLessThanOrEqual(2 * (1 + 0.2 / 0.025)); // no two of one caller within half an interval
});

import { describe, expect, test } from 'vitest';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { GuestMetrics } from '../../src/telemetry/guest-metrics.ts';
import { MetricFilter } from '../../src/telemetry/metric-filter.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { MAX_LINES, MAX_NAMES } from '../../src/telemetry/series-budget.ts';
import { findSeries, readExposition } from '../harness/exposition.ts';
import { describeWithGo } from '../harness/requires.ts';

class Program {
  readonly records: LogRecord[] = [];
  readonly metrics = new Metrics({
    prefix: 'p',
    labels: [],
    filter: new MetricFilter({ allowedPrefixes: [], blockedPrefixes: [], allowedLabels: [], blockedLabels: [] }),
  });

  guest(name: string): GuestMetrics {
    const labels = [{ name: 'plugin_name', value: name }];
    return new GuestMetrics({
      metrics: this.metrics,
      labels,
      dropped: this.metrics.counter(['dropped'], labels),
      log: new Logger((record) => this.records.push(record)),
    });
  }

  async lines(): Promise<readonly string[]> {
    return (await this.metrics.render()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  }

  get reasons(): readonly unknown[] {
    return this.records.map(({ fields }) => fields.reason);
  }
}

describe('what a plugin measures', () => {
  test('is under its own key, with its own labels as SPIRE writes them, and its name', async () => {
    const program = new Program();
    program.guest('one').increment(['books', 'lent'], 2, [{ name: 'shelf-mark', value: 'a.b/c' }]);
    program.guest('two').increment(['books', 'lent'], 1, []);
    expect(await program.lines()).toEqual([
      'p_books_lent{plugin_name="one",shelf_mark="a_b_c"} 2',
      'p_books_lent{plugin_name="two"} 1',
      'p_dropped{plugin_name="one"} 0',
      'p_dropped{plugin_name="two"} 0',
    ]);
  });

  test('cannot have the name of another plugin', async () => {
    const program = new Program();
    program.guest('one').set(['g'], 1, [
      { name: 'plugin_name', value: 'two' },
      { name: 'plugin.name', value: 'three' },
    ]);
    expect(await program.lines()).toContain('p_g{plugin_name="one"} 1');
    expect(await program.lines()).toHaveLength(2);
  });

  test('cannot take the place of what the program measures, whoever comes first', async () => {
    const program = new Program();
    const guest = program.guest('one');
    guest.set(['up'], 0, []);
    program.metrics.gauge(['up']).set(1);
    guest.set(['up'], 0, []);
    program.metrics.histogram(['rpc']).observe(1);
    guest.increment(['rpc', 'count'], 1, []);
    const lines = await program.lines();
    expect(lines.filter((line) => /^p_(up|rpc_count)/.test(line))).toEqual(['p_rpc_count 1', 'p_up 1']);
    expect(lines).toContain('p_dropped{plugin_name="one"} 2');
  });
});

const BAD = [
  ['a counter that shrinks', (guest: GuestMetrics) => guest.increment(['k'], -1, []), /does not grow/],
  ['a counter that is no number', (guest: GuestMetrics) => guest.increment(['k'], Number.NaN, []), /does not grow/],
  ['a counter without end', (guest: GuestMetrics) => guest.increment(['k'], Infinity, []), /does not grow/],
  ['a sample that is no number', (guest: GuestMetrics) => guest.observe(['k'], Number.NaN, []), /no number/],
  ['no key', (guest: GuestMetrics) => guest.set([], 1, []), /empty/],
  ['a key without end', (guest: GuestMetrics) => guest.set(['k'.repeat(1e6)], 1, []), /160 characters/],
  ['a key of many parts', (guest: GuestMetrics) => guest.set(Array(1000).fill('k'), 1, []), /16 parts/],
  ['many labels', (guest: GuestMetrics) => guest.set(['k'], 1, Array(17).fill({ name: 'l', value: '' })), /16 labels/],
  [
    'a long label',
    (guest: GuestMetrics) => guest.set(['k'], 1, [{ name: 'l', value: 'v'.repeat(600) }]),
    /512 characters/,
  ],
  [
    'a label that is Prometheus’ own',
    (guest: GuestMetrics) => guest.observe(['k'], 1, [{ name: 'le', value: '1' }]),
    /label with a name/,
  ],
  [
    'a label without a name',
    (guest: GuestMetrics) => guest.set(['k'], 1, [{ name: '', value: '1' }]),
    /label with a name/,
  ],
  ['another kind', (guest: GuestMetrics) => guest.set(['taken'], 1, []), /belongs to another metric/],
  ['a line of a histogram', (guest: GuestMetrics) => guest.set(['taken', 'sum'], 1, []), /belongs to another metric/],
] as const;

test.each(BAD)('%s is dropped, counted and logged once', async (_what, measure, reason) => {
  const program = new Program();
  const guest = program.guest('one');
  guest.observe(['taken'], 1, []);
  measure(guest);
  measure(guest);
  expect(await program.lines()).toContain('p_dropped{plugin_name="one"} 2');
  expect((await program.lines()).some((line) => line.startsWith('p_k'))).toBe(false);
  expect(program.reasons).toEqual([expect.stringMatching(reason)]);
  expect(String(program.records[0]?.fields.metric).length).toBeLessThanOrEqual(100);
});

describeWithGo('a flood', () => {
  const flood = { name: 'wave', value: '' };
  test.each([
    ['of labels', (guest: GuestMetrics, n: number) => guest.set(['k'], 1, [{ ...flood, value: `${n}` }]), MAX_LINES],
    ['of histograms', (guest: GuestMetrics, n: number) => guest.observe(['k'], 1, [{ ...flood, value: `${n}` }]), 55],
    ['of names', (guest: GuestMetrics, n: number) => guest.set([`k${n}`], 1, []), MAX_NAMES],
  ])('%s ends at the most a plugin may have; what there is goes on, and so do others', async (_what, measure, most) => {
    const program = new Program();
    const guest = program.guest('one');
    for (let n = 0; n < 3 * MAX_LINES; n++) measure(guest, n);
    measure(guest, 0);
    program.guest('two').set(['other'], 1, []);
    const all = await readExposition(await program.metrics.render());
    expect(all.filter(({ name }) => name.startsWith('p_k'))).toHaveLength(most);
    expect(findSeries(all, 'p_dropped', { plugin_name: 'one' }).value).toBe(3 * MAX_LINES - most);
    expect(findSeries(all, 'p_other').labels).toEqual({ plugin_name: 'two' });
    expect(program.records).toHaveLength(1);
  });
});

import { describe, expect, test } from 'vitest';
import { MetricFilter, type MetricFilterOptions } from '../../src/telemetry/metric-filter.ts';
import { Metrics, type MetricsOptions } from '../../src/telemetry/metrics.ts';
import { findSeries, readExposition } from '../harness/exposition.ts';
import { describeWithGo } from '../harness/requires.ts';

const NO_FILTER = { allowedPrefixes: [], blockedPrefixes: [], allowedLabels: [], blockedLabels: [] };

function create(filter: Partial<MetricFilterOptions> = {}, more: Partial<MetricsOptions> = {}): Metrics {
  return new Metrics({
    prefix: 'spire_server',
    labels: [],
    filter: new MetricFilter({ ...NO_FILTER, ...filter }),
    ...more,
  });
}

const linesOf = async (metrics: Metrics) =>
  (await metrics.render()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));

describe('the text format', () => {
  test('has help, kind, labels by name and the value', async () => {
    const metrics = create({}, { labels: [{ name: 'host', value: 'h' }] });
    metrics.counter(['rpc', 'svid'], [{ name: 'status', value: 'OK' }]).add(2);
    metrics.counter(['rpc', 'svid'], [{ name: 'status', value: 'OK' }]).add(1);
    expect(await metrics.render()).toBe(
      '# HELP spire_server_rpc_svid rpc.svid\n' +
        '# TYPE spire_server_rpc_svid counter\n' +
        'spire_server_rpc_svid{host="h",status="OK"} 3\n',
    );
  });

  test.each([
    ['a quotation mark', 'a"b', 'a\\"b'],
    ['a backslash', 'a\\b', 'a\\\\b'],
    ['a new line', 'a\nb', 'a\\nb'],
    ['half a character', 'a\ud800b', 'a\ufffdb'],
    ['what looks like another label', '",x="', '\\",x=\\"'],
  ])('escapes %s in a value', async (_what, value, escaped) => {
    const metrics = create();
    metrics.gauge(['g'], [{ name: 'l', value }]).set(1);
    expect(await linesOf(metrics)).toEqual([`spire_server_g{l="${escaped}"} 1`]);
  });

  test.each([
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
    [Number.NaN, 'NaN'],
    [1e300, '1e+300'],
    [-0.5, '-0.5'],
  ])('writes %d as %s', async (value, text) => {
    const metrics = create();
    metrics.gauge(['g']).set(value);
    expect(await linesOf(metrics)).toEqual([`spire_server_g ${text}`]);
  });

  test('leaves out a gauge with nothing to say', async () => {
    const metrics = create();
    metrics.gauge(['g']).set(1);
    metrics.gauge(['g']).set(undefined);
    expect(await metrics.render()).toBe('');
  });

  test('has a bucket for every bound and one for the rest', async () => {
    const metrics = create();
    const histogram = metrics.histogram(['h']);
    for (const value of [0, 0.25, 3, 3, 20_000]) histogram.observe(value);
    const lines = await linesOf(metrics);
    expect(lines).toHaveLength(18);
    expect(lines).toEqual(
      expect.arrayContaining([
        'spire_server_h_bucket{le="0.25"} 2',
        'spire_server_h_bucket{le="2.5"} 2',
        'spire_server_h_bucket{le="5"} 4',
        'spire_server_h_bucket{le="10000"} 4',
        'spire_server_h_bucket{le="+Inf"} 5',
        'spire_server_h_sum 20006.25',
        'spire_server_h_count 5',
      ]),
    );
  });
});

describe('keys', () => {
  test.each([
    [['rpc', 'svid-v1', 'a b'], 'spire_server_rpc_svid_v1_a_b'],
    [['ü', 'x{y}'], 'spire_server___x_y_'],
  ])('%j become names', async (key, name) => {
    const metrics = create();
    metrics.gauge(key).set(1);
    expect(await linesOf(metrics)).toEqual([`${name} 1`]);
  });

  test('begin with the prefix, also one that is no name by itself', async () => {
    const metrics = create({}, { prefix: '9.lives' });
    metrics.gauge(['g']).set(1);
    expect(await linesOf(metrics)).toEqual(['_9_lives_g 1']);
  });
});

describe('the filter (C155 to C159)', () => {
  test.each([
    ['nothing', {}, ['spire_server_a_b', 'spire_server_a_c']],
    ['a blocked prefix', { blockedPrefixes: ['spire_server.a.b'] }, ['spire_server_a_c']],
    [
      'an allowed prefix alone blocks nothing',
      { allowedPrefixes: ['spire_server.a.b'] },
      ['spire_server_a_b', 'spire_server_a_c'],
    ],
    [
      'the longer prefix wins',
      { blockedPrefixes: ['spire_server'], allowedPrefixes: ['spire_server.a.c'] },
      ['spire_server_a_c'],
    ],
    ['of two alike the blocking one', { blockedPrefixes: ['spire_server.a'], allowedPrefixes: ['spire_server.a'] }, []],
    ['a part of a word is a prefix too', { blockedPrefixes: ['spire_s'] }, []],
  ])('%s', async (_what, filter, names) => {
    const metrics = create(filter);
    metrics.gauge(['a', 'b']).set(1);
    metrics.gauge(['a', 'c']).set(1);
    expect((await linesOf(metrics)).map((line) => line.split(' ')[0])).toEqual(names);
  });

  test.each([
    [{ blockedLabels: ['host'] }, '{status="OK"}'],
    [{ allowedLabels: ['host'] }, '{host="h"}'],
    [{ allowedLabels: ['host'], blockedLabels: ['host'] }, ''],
  ])('labels: %j', async (filter, labels) => {
    const metrics = create(filter, { labels: [{ name: 'host', value: 'h' }] });
    metrics.counter(['c'], [{ name: 'status', value: 'OK' }]).add(1);
    metrics.counter(['c'], [{ name: 'status', value: 'OK' }]).add(1);
    expect(await linesOf(metrics)).toEqual([`spire_server_c${labels} 2`]);
  });
});

describeWithGo('Prometheus’ own parser', () => {
  test('reads every kind, and all that a value can hold', async () => {
    const metrics = create();
    const value = 'a"b\\c\nd,e="f"} 1 ü\u0000';
    metrics.counter(['c'], [{ name: 'l', value }]).add(3);
    metrics.gauge(['g']).set(-1.5);
    metrics.histogram(['h']).observe(7);
    const all = await readExposition(await metrics.render());
    expect(findSeries(all, 'spire_server_c')).toMatchObject({ kind: 'COUNTER', labels: { l: value }, value: 3 });
    expect(findSeries(all, 'spire_server_g')).toMatchObject({ kind: 'GAUGE', value: -1.5 });
    expect(findSeries(all, 'spire_server_h')).toMatchObject({ kind: 'HISTOGRAM', value: 1, sum: 7 });
  });

  test('would notice: a series that is there twice, a kind that is told twice', async () => {
    await expect(readExposition('# HELP x x\n# TYPE x gauge\nx 1\nx 1\n')).rejects.toThrow(/twice/);
    await expect(readExposition('# TYPE x gauge\nx 1\n# TYPE x counter\n')).rejects.toThrow(/second TYPE line/);
    await expect(readExposition('x{a="b} 1\n')).rejects.toThrow(/text format parsing error/);
  });
});

test('who scrapes at once shares the work', async () => {
  let renders = 0;
  const filter = new MetricFilter({ allowedPrefixes: [], blockedPrefixes: [], allowedLabels: [], blockedLabels: [] });
  const metrics = new Metrics({ prefix: 'p', labels: [], filter });
  metrics.collect(async () => {
    renders += 1;
    await new Promise((resolve) => setImmediate(resolve));
  });
  await Promise.all(Array.from({ length: 50 }, () => metrics.render()));
  expect(renders).toBe(1);
  await metrics.render();
  expect(renders).toBe(2);
});

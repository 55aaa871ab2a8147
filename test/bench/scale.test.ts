import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseOptions } from '../../bench/options.ts';
import { plot } from '../../bench/report/plot.ts';
import { formatScale, plotScale, slopeOf } from '../../bench/report/scale.ts';
import type { ScaleResult } from '../../bench/results.ts';
import { FILLS } from '../../bench/scale/fill.ts';
import { type Datastore, openDatastore } from '../../src/datastore/datastore.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

const machine = { cpu: 'a CPU', cores: 2, memoryGiB: 4, kernel: '6', node: '24', loadBefore: 0 };
/** Each entry costs 1 KiB and 0.1 ms. */
const results: readonly ScaleResult[] = [
  {
    kind: 'entry',
    points: [0, 10_000, 100_000].map((count) => ({
      count,
      startMs: 500 + count / 10,
      startCpuMs: 500,
      pssMiB: 50 + count / 1024,
      syncP50Ms: 2,
      syncP99Ms: 3,
      syncCpuMicros: 900,
    })),
  },
];

test('a slope is that of the line that fits best', () => {
  expect(slopeOf([0, 1, 4].map((x) => [x, 3 * x + 7]))).toBeCloseTo(3);
  expect(slopeOf([[0, 0], [1, 2], [2, 2]])).toBeCloseTo(1); // biome-ignore format: pairs
});

test('what one more costs stands in the tables', () => {
  const text = formatScale(results, machine, '2026-01-02T03:04:05Z');
  expect(text).toMatch(/^\| entry +\| +1024 \| +100\.0 \| +0\.0 \| +0 \|$/m);
  expect(text).toMatch(/^\| 100,000 +\| +10500 \| +500 \| +147\.7 \| +2\.00 \| +3\.00 \| +900 \|$/m);
});

describe('the plot', () => {
  test('has a chart for each of start, memory and sync, and a mark for each measurement', () => {
    const svg = plotScale(results);
    expect(svg.match(/<polyline /g)).toHaveLength(3);
    expect(svg.match(/<circle /g)).toHaveLength(9);
    expect(svg.match(/<(svg|g|title|text)\b/g)?.length).toBe(svg.match(/<\/(svg|g|title|text)>/g)?.length);
  });

  test('puts 0 in the corner and the largest below the top', () => {
    const svg = plot('t', [[{ title: 'a < b', xTitle: 'x', points: [[0, 0], [10, 5]] }]]); // biome-ignore format: pairs
    expect(svg).toContain('a &lt; b');
    expect(svg).toContain('points="52.0,150.0 246.0,30.0"'); // the axes end at 10 and 5: four steps of 2.5 and of 1.25
  });
});

describe('what fills a database', () => {
  const resources = new AsyncDisposableStack();
  let folder: TemporaryFolder;
  let datastore: Datastore;
  beforeAll(async () => {
    folder = resources.use(await createTemporaryFolder());
    datastore = resources.use(await openDatastore({ path: folder.join('datastore.sqlite3') }));
  });
  afterAll(() => resources.disposeAsync());

  test('stores as many entries, agents and bundles as it is asked for, each once', async () => {
    for (const fill of Object.values(FILLS)) {
      await fill(datastore, 0, 20);
      await fill(datastore, 20, 50);
    }
    expect([await datastore.entries.count(), await datastore.agents.count(), await datastore.bundles.count()]).toEqual([
      50, 50, 50,
    ]);
  });
});

test('the suite is named without a dash', () => {
  expect(parseOptions(['scale', '--seconds', '2'])).toMatchObject({ suite: 'scale', seconds: 2 });
  expect(parseOptions([]).suite).toBe(undefined);
  expect(() => parseOptions(['scales'])).toThrow('"scales" is no suite');
});

import { expect, test } from 'vitest';
import { findDurationMs, formatDurationSeconds } from '../../src/config/duration.ts';
import { expandEnv } from '../../src/config/expand-env.ts';
import { editDistance, findNearest } from '../../src/config/suggest.ts';

test.each([
  ['0', 0],
  ['0s', 0],
  ['90s', 90_000],
  ['1h30m', 5_400_000],
  ['1h0m0.5s', 3_600_500],
  ['500ms', 500],
  ['1.5h', 5_400_000],
  ['.5s', 500],
  ['1.s', 1000],
  ['250us', 0.25],
  ['250µs', 0.25],
  ['1ns', 0.000_001],
  ['-2m', -120_000],
  ['+2m', 120_000],
])('duration %s has %d ms', (text, ms) => {
  expect(findDurationMs(text)).toBe(ms);
});

test.each(['', '5', 's', '5 s', '5d', '1h30', 'h1', '--5s', '1e3s', '5S', ' 5s', '5s ', '1h,5m', '9999999999h'])(
  '%j is no duration',
  (text) => {
    expect(findDurationMs(text)).toBeUndefined();
  },
);

test.each([
  [0, '0s'],
  [59, '59s'],
  [3600, '1h'],
  [5400, '1h30m'],
  [86_461, '24h1m1s'],
])('%d seconds are written %s', (seconds, text) => {
  expect(formatDurationSeconds(seconds)).toBe(text);
});

const env = { A: 'x', B_2: 'y z', EMPTY: '' };
test.each([
  ['$A', 'x'],
  ['$<A>', 'x'],
  ['$<A>b$B_2.', 'xby z.'],
  ['$AB', ''],
  ['$<UNSET>|$UNSET|$EMPTY|', '|||'],
  ['$$A', '$A'],
  ['a $ b', 'a $ b'],
  ['100$', '100$'],
])('%s, with braces for <>, expands to %j', (text, expanded) => {
  expect(expandEnv(text.replaceAll('<', '{').replaceAll('>', '}'), env)).toBe(expanded);
});

test.each([
  ['', '', 0],
  ['a', '', 1],
  ['ca_ttl', 'ca_tll', 1],
  ['trust_domian', 'trust_domain', 1],
  ['kitten', 'sitting', 3],
])('from %j to %j it is %d edits', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
});

test.each([
  ['trustdomain', 'trust_domain'],
  ['TRUST_DOMAINS', 'trust_domain'],
  ['bind_prot', 'bind_port'],
  ['zzz', undefined],
  ['b'.repeat(10_000), undefined],
])('nearest to %s is %s', (word, nearest) => {
  expect(findNearest(word, ['bind_address', 'bind_port', 'trust_domain'])).toBe(nearest);
});

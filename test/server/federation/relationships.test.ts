import { describe, expect, test } from 'vitest';
import { pollDelayMs } from '../../../src/server/federation/poll-interval.ts';
import { mergeRelationships } from '../../../src/server/federation/relationship.ts';
import { emptyBundle } from '../../../src/spiffe/bundle.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';

const PARTNER = parseTrustDomain('partner.test');
const MINUTE_MS = 60_000;

describe('until the next poll', () => {
  const hinted = (refreshHintSeconds: number) => ({ ...emptyBundle(PARTNER), refreshHintSeconds });
  test.each([
    ['there is no bundle', undefined, 0, 5 * MINUTE_MS],
    ['the bundle gives no hint', hinted(0), 0, 5 * MINUTE_MS],
    ['a hint is asked for four times in its time', hinted(600), 0, 150_000],
    ['a hint below a minute is a minute', hinted(1), 0, 15_000],
    ['a hint above a day is a day', hinted(1e9), 0, 6 * 60 * MINUTE_MS],
    ['the first failure is tried again soon', hinted(600), 1, 5_000],
    ['the next one after twice as long', hinted(600), 2, 10_000],
    ['never later than without a failure', hinted(60), 9, 15_000],
    ['never later than five minutes', hinted(86_400), 99, 5 * MINUTE_MS],
  ])('%s', (_rule, bundle, failures, delayMs) => {
    expect(pollDelayMs(bundle, failures, 0.5)).toBe(delayMs);
    expect(pollDelayMs(bundle, failures, 0)).toBeCloseTo(delayMs * 0.9);
    expect(pollDelayMs(bundle, failures, 1)).toBeCloseTo(delayMs * 1.1);
  });
});

test('a relationship of the configuration comes before one that was made at run time, as in SPIRE', () => {
  const web = (trustDomain: string, bundleEndpointUrl: string) => ({
    trustDomain: parseTrustDomain(trustDomain),
    bundleEndpointUrl,
    profile: { type: 'https_web' } as const,
  });
  const merged = mergeRelationships(
    [web('a.test', 'https://configured')],
    [web('a.test', 'https://stored'), web('b.test', 'https://stored')],
  );
  expect([...merged.values()].map(({ trustDomain, bundleEndpointUrl }) => [trustDomain, bundleEndpointUrl])).toEqual([
    ['a.test', 'https://configured'],
    ['b.test', 'https://stored'],
  ]);
});

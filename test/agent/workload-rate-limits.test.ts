import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WorkloadRateLimits } from '../../src/agent/workload-api/workload-rate-limits.ts';
import { SpiffeWorkloadAPIDefinition } from '../../src/gen/workload/workload.ts';
import { parseSelector } from '../../src/spiffe/selector.ts';
import { Status } from '../../src/spiffe/status.ts';
import { TestDomain } from './test-domain.ts';
import { AS_WORKLOAD, fetchX509, firstOf, workloadApi } from './workload.ts';

// experimental.ratelimit (inventory C115 to C120): calls a second for each set of selectors.

vi.setConfig({ testTimeout: 90_000 });

const NONE = {
  fetchX509Svid: 0,
  fetchJwtSvid: 0,
  fetchX509Bundles: 0,
  fetchJwtBundles: 0,
  streamSecrets: 0,
  fetchSecrets: 0,
};
const SDS = '/envoy.service.secret.v3.SecretDiscoveryService';
const UID_1 = ['unix:uid:1', 'unix:gid:1'].map(parseSelector);
const UID_2 = ['unix:uid:2'].map(parseSelector);

test.each([
  ['fetchX509Svid', '/SpiffeWorkloadAPI/FetchX509SVID', 'fetch_x509_svid'],
  ['fetchJwtSvid', '/SpiffeWorkloadAPI/FetchJWTSVID', 'fetch_jwt_svid'],
  ['fetchX509Bundles', '/SpiffeWorkloadAPI/FetchX509Bundles', 'fetch_x509_bundles'],
  ['fetchJwtBundles', '/SpiffeWorkloadAPI/FetchJWTBundles', 'fetch_jwt_bundles'],
  ['streamSecrets', `${SDS}/StreamSecrets`, 'stream_secrets'],
  ['fetchSecrets', `${SDS}/FetchSecrets`, 'fetch_secrets'],
] as const)('%s limits %s alone, for each set of selectors', (setting, method, name) => {
  const limits = new WorkloadRateLimits({ ...NONE, [setting]: 2 });
  limits.spend(method, UID_1, 1);
  limits.spend(method, UID_1.toReversed(), 1);
  expect(() => limits.spend(method, UID_1, 1)).toThrow(
    expect.objectContaining({
      code: 'RATE_LIMITED',
      message: expect.stringContaining(`experimental.ratelimit.${name}`),
    }),
  );
  limits.spend(method, UID_2, 2);
  for (const other of [...Object.values(SpiffeWorkloadAPIDefinition.methods)].map(
    (one) => `/SpiffeWorkloadAPI/${one.name}`,
  )) {
    if (other !== method) for (let call = 0; call < 5; call += 1) limits.spend(other, UID_1, 1);
  }
});

describe('processes with other selectors', () => {
  const METHOD = '/SpiffeWorkloadAPI/FetchX509SVID';
  /** How many of a hundred calls are answered, each with selectors of its own. */
  function answered(selectorsOf: (call: number) => readonly string[], uidOf: (call: number) => number): number {
    const limits = new WorkloadRateLimits({ ...NONE, fetchX509Svid: 2 });
    let count = 0;
    for (let call = 0; call < 100; call += 1) {
      try {
        limits.spend(METHOD, selectorsOf(call).map(parseSelector), uidOf(call));
        count += 1;
      } catch (error) {
        expect(error).toMatchObject({
          code: 'RATE_LIMITED',
          message: expect.stringContaining('all programs of user 7'),
        });
      }
    }
    return count;
  }

  beforeEach(() => void vi.useFakeTimers()); // no bucket fills up
  afterEach(() => void vi.useRealTimers());

  test.each([
    ['a copy of the program', (call: number) => ['unix:uid:7', `unix:path:/tmp/${call}`]],
    ['a changed program', (call: number) => ['unix:uid:7', `unix:sha256:${call}`]],
    ['another of its groups', (call: number) => ['unix:uid:7', `unix:gid:${call}`]],
  ])('have eight times the limit together: %s', (_what, selectorsOf) => {
    expect(answered(selectorsOf, () => 7)).toBe(16);
  });

  test('each have a limit of their own: another user, another container', () => {
    expect(
      answered(
        (call) => [`unix:uid:${call}`],
        (call) => call,
      ),
    ).toBe(100);
    expect(
      answered(
        (call) => ['unix:uid:7', `docker:label:app:${call}`],
        () => 7,
      ),
    ).toBe(100);
  });
});

test('0 is no limit', () => {
  const limits = new WorkloadRateLimits(NONE);
  for (let call = 0; call < 1_000; call += 1) limits.spend('/SpiffeWorkloadAPI/FetchX509SVID', UID_1, 1);
});

test('a workload that calls too often is refused, and is answered again later', async () => {
  await using domain = await TestDomain.start();
  await domain.createEntry('/web');
  const settings = `join_token = "${await domain.createToken()}"`;
  await using agent = await domain.startAgent('agent', { settings, experimental: 'ratelimit { fetch_x509_svid = 1 }' });
  await expect
    .poll(async () => (await fetchX509(agent).catch(() => undefined))?.svids.length, { timeout: 30_000 })
    .toBe(1);
  const burst = await Promise.allSettled([1, 2, 3].map(() => fetchX509(agent)));
  const refused = burst.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  expect(refused.length).toBeGreaterThanOrEqual(2);
  for (const reason of refused) expect(reason).toMatchObject({ status: Status.ResourceExhausted });
  await firstOf(workloadApi(agent).fetchX509Bundles({}, AS_WORKLOAD)); // has no limit
  await expect
    .poll(async () => (await fetchX509(agent).catch(() => undefined))?.svids.length, { timeout: 30_000, interval: 300 })
    .toBe(1);
});

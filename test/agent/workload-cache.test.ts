import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { steadyOffset } from '../../src/agent/identity/steady-time.ts';
import type { AuthorizedEntry } from '../../src/agent/server-api/authorized-entry.ts';
import { ChangeSignal } from '../../src/agent/workloads/change-signal.ts';
import { planSvids, withDistrusted } from '../../src/agent/workloads/svid-plan.ts';
import { type CacheContent, WorkloadCache, type WorkloadView } from '../../src/agent/workloads/workload-cache.ts';
import type { WorkloadX509Svid } from '../../src/agent/workloads/workload-x509-svid.ts';
import { type Bundle, emptyBundle } from '../../src/spiffe/bundle.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { parseSelector } from '../../src/spiffe/selector.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { isTrustedX509Svid } from '../../src/spiffe/trusted-svid.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { eventually } from '../harness/eventually.ts';
import { entryAtAgent } from './entry-at-agent.ts';

const NOW = new Date('2026-06-01T12:00:00Z');
const later = (minutes: number) => new Date(NOW.getTime() + minutes * 60_000);
const trustDomain = parseTrustDomain('example.org');
const ownBundle = emptyBundle(trustDomain);

const entryOf = (id: string, more: Partial<AuthorizedEntry> = {}) =>
  entryAtAgent(id, `/${id}`, { selectors: [parseSelector('unix:uid:1')], createdAt: 1, ...more });

function svidOf(
  { id, spiffeId, revisionNumber, createdAt }: AuthorizedEntry,
  more: Partial<WorkloadX509Svid> = {},
): WorkloadX509Svid {
  const chain = [new Uint8Array(1)];
  const times = { expiresAt: later(60), rotateAt: later(30) };
  return { entryId: id, spiffeId, revisionNumber, createdAt, chain, privateKey: new Uint8Array(), ...times, ...more };
}

const byId = <T>(items: readonly T[], idOf: (item: T) => string) => new Map(items.map((item) => [idOf(item), item]));
const contentOf = (
  entries: readonly AuthorizedEntry[],
  svids = entries.map((entry) => svidOf(entry)),
): CacheContent => ({
  entries: byId(entries, ({ id }) => id),
  svids: byId(svids, ({ entryId }) => entryId),
  bundles: new Map([[trustDomain, ownBundle]]),
});

const newCache = () => new WorkloadCache({ trustDomain, clock: () => NOW });
const selectors = ['unix:uid:1', 'unix:gid:2'].map(parseSelector);
const idsOf = (view: WorkloadView | undefined) => view?.entries.map(({ id }) => id);

async function viewOf(content: CacheContent): Promise<WorkloadView | undefined> {
  const cache = newCache();
  cache.replace(content);
  for await (const view of cache.watch(selectors, new AbortController().signal)) return view;
  return undefined;
}

const matches = [
  ['one selector of several', ['unix:uid:1'], ['a']],
  ['all selectors', ['unix:uid:1', 'unix:gid:2'], ['a']],
  ['a selector that the workload lacks', ['unix:uid:1', 'unix:gid:3'], []],
  ['a selector of another type', ['docker:uid:1'], []],
  ['no selector at all', [], []],
] as const;
test.each(matches)('an entry with %s', async (_rule, wanted, ids) => {
  expect(idsOf(await viewOf(contentOf([entryOf('a', { selectors: wanted.map(parseSelector) })])))).toEqual(ids);
});

test.each([
  ['that has expired', { expiresAt: NOW.getTime() / 1000 }],
  ['whose SVID is for a store', { storeSvid: true }],
] as const)('an entry %s gives nothing', async (_rule, more) => {
  expect(idsOf(await viewOf(contentOf([entryOf('a', more)])))).toEqual([]);
});

test('the first created comes first; of one hint, it alone', async () => {
  const entries = [
    entryOf('c', { createdAt: 3, hint: 'x' }),
    entryOf('b', { createdAt: 2, hint: 'x' }),
    entryOf('a', { createdAt: 2 }),
    entryOf('d', { createdAt: 1 }),
  ];
  expect(idsOf(await viewOf(contentOf(entries)))).toEqual(['d', 'a', 'b']);
});

test('an SVID that has expired is not served', async () => {
  const entry = entryOf('a');
  expect((await viewOf(contentOf([entry], [svidOf(entry, { expiresAt: NOW })])))?.identities).toEqual([]);
});

test('who asks early waits; who watches hears of changes that concern it, and asks for what is missing', async () => {
  const cache = newCache();
  let missing = 0;
  cache.onMissing(() => missing++);
  const stop = new AbortController();
  const views = cache.watch(selectors, stop.signal)[Symbol.asyncIterator]();
  const first = views.next();
  const entry = entryOf('a');
  cache.replace(contentOf([entry], []));
  expect(idsOf((await first).value ?? undefined)).toEqual(['a']);
  expect([...cache.watchedEntryIds()]).toEqual(['a']);
  expect(missing).toBe(1);

  const second = views.next();
  const svid = svidOf(entry);
  const other = entryOf('other', { selectors: [parseSelector('unix:uid:9')] });
  cache.replace(contentOf([entry, other], [])); // does not concern it
  cache.replace(contentOf([entry, other], [svid]));
  expect((await second).value?.identities).toEqual([{ entry, svid }]);

  const last = views.next();
  stop.abort();
  expect(await last).toEqual({ done: true, value: undefined });
  expect(cache.watchedEntryIds().size).toBe(0);
});

describe('while what is missing cannot be had', () => {
  const served = entryOf('a');
  const awaited = entryOf('b');
  const hindrance = new SpiffeError('UNAVAILABLE', 'the server is away');
  let isHindered: boolean;
  let cache: WorkloadCache;
  let views: AsyncIterator<WorkloadView>;

  beforeEach(() => {
    isHindered = false;
    cache = new WorkloadCache({
      ...{ trustDomain, clock: () => NOW },
      findHindrance: () => (isHindered ? hindrance : undefined),
    });
    views = cache.watch(selectors, new AbortController().signal)[Symbol.asyncIterator]();
  });

  const hinder = () => {
    isHindered = true;
    cache.tellWaiting();
  };

  test('who waits for the cache to be filled is refused', async () => {
    const first = views.next();
    const bundles = cache.watchBundles(new AbortController().signal).next();
    hinder();
    await expect(first).rejects.toBe(hindrance);
    await expect(bundles).rejects.toBe(hindrance);
  });

  test('who waits for an SVID is told so, and again until there is one', async () => {
    cache.replace(contentOf([served], []));
    expect((await views.next()).value).not.toHaveProperty('hindrance');
    for (let round = 0; round < 2; round += 1) {
      const next = views.next();
      hinder();
      expect((await next).value).toMatchObject({ entries: [served], identities: [], hindrance });
    }
    const last = views.next();
    cache.replace(contentOf([served]));
    expect((await last).value).not.toHaveProperty('hindrance');
  });

  test('who has something keeps it: one that has expired, and one of several', async () => {
    cache.replace(contentOf([served, awaited], [svidOf(served)]));
    expect((await views.next()).value).not.toHaveProperty('hindrance');
    isHindered = true;
    const expired = views.next();
    cache.replace(contentOf([served, awaited], [svidOf(served, { expiresAt: NOW })]));
    expect((await expired).value).toMatchObject({ identities: [] });
    expect((await expired).value).not.toHaveProperty('hindrance');
    const later = views.next();
    cache.tellWaiting();
    cache.replace(contentOf([]));
    expect((await later).value).toMatchObject({ entries: [] });
  });

  test('who has to give back all that it has is told so', async () => {
    cache.replace(contentOf([served, awaited], [svidOf(served)]));
    await views.next();
    isHindered = true;
    const next = views.next();
    cache.replace(contentOf([awaited], []));
    expect((await next).value).toMatchObject({ entries: [awaited], hindrance });
  });
});

const plain = entryOf('a');
const rare = entryOf('a', { disableX509SvidPrefetch: true });
const forStore = entryOf('a', { storeSvid: true, selectors: [parseSelector('vault:name:web')] });
const plans = [
  ['without an SVID', plain, undefined, { kept: false, wanted: true }],
  ['with a fresh one', plain, svidOf(plain), { kept: true, wanted: false }],
  ['with one that is due', plain, svidOf(plain, { rotateAt: NOW }), { kept: true, wanted: true }],
  [
    'with one that would be due, had the clock not been set back',
    plain,
    svidOf(plain, { steadyOffsetMs: steadyOffset(later(31)) }),
    { kept: true, wanted: true },
  ],
  ['that was changed', { ...plain, revisionNumber: 1 }, svidOf(plain), { kept: true, wanted: true }],
  ['that was made anew', { ...plain, createdAt: 2 }, svidOf(plain), { kept: false, wanted: true }],
  [
    'of another SPIFFE ID now',
    entryOf('a', { spiffeId: parseSpiffeId('spiffe://example.org/b') }),
    svidOf(plain),
    { kept: false, wanted: true },
  ],
  ['for a store that there is not', { ...plain, storeSvid: true }, svidOf(plain), { kept: false, wanted: false }],
  ['for a store', forStore, svidOf(forStore), { kept: true, wanted: false }],
  ['that is not to be prefetched, and was used', rare, svidOf(rare), { kept: true, wanted: false }],
  ['that is not to be prefetched, and is due', rare, svidOf(rare, { rotateAt: NOW }), { kept: false, wanted: false }],
  ['for a store, new', forStore, undefined, { kept: false, wanted: true }],
  [
    'that is not to be prefetched',
    { ...plain, disableX509SvidPrefetch: true },
    undefined,
    { kept: false, wanted: false },
  ],
] as const;
test.each(plans)('an entry %s', (_what, entry, svid, expected) => {
  const plan = planSvids({
    ...contentOf([entry], svid === undefined ? [] : [svid]),
    watched: new Set(),
    lastUsed: new Map(),
    maxSize: 9,
    stores: new Set(['vault']),
    now: NOW,
  });
  expect({ kept: plan.kept.has('a'), wanted: plan.wanted.includes(entry) }).toEqual(expected);
});

describe('a full cache (inventory B005, C106)', () => {
  const four = ['a', 'b', 'c', 'd'].map((id) => entryOf(id));
  const [a, b, c, d] = four;
  const stored = { ...forStore, id: 's', disableX509SvidPrefetch: true };

  /** Ids of those whose SVIDs are kept or asked for, in order. */
  function chosen(maxSize: number, more: Partial<Parameters<typeof planSvids>[0]> = {}): readonly string[] {
    const plan = planSvids({
      ...contentOf([...four, stored], []),
      watched: new Set(),
      lastUsed: new Map(),
      maxSize,
      stores: new Set(['vault']),
      now: NOW,
      ...more,
    });
    return [...plan.kept.keys(), ...plan.wanted.map(({ id }) => id)];
  }

  test('holds what is watched, then others, and what is for stores besides', () => {
    expect(chosen(2)).toEqual(['a', 'b', 's']);
    expect(chosen(2, { watched: new Set(['c']) })).toEqual(['c', 'a', 's']);
    expect(chosen(1, { watched: new Set(['c', 'd']) })).toEqual(['c', 'd', 's']);
    expect(chosen(0)).toEqual(['s']);
  });

  test('holds what was used last', () => {
    const lastUsed = new Map([
      ['b', 1],
      ['d', 3],
      ['c', 2],
    ]);
    expect(chosen(2, { lastUsed })).toEqual(['d', 'c', 's']);
    expect(chosen(2, { lastUsed, watched: new Set(['b']) })).toEqual(['b', 'd', 's']);
    expect(chosen(4, { lastUsed }).toSorted()).toEqual(['a', 'b', 'c', 'd', 's']);
  });

  test('signs for no other when the server tells its entries in another order', () => {
    const svids = byId(
      [c, d].map((entry) => svidOf(entry ?? stored)),
      ({ entryId }) => entryId,
    );
    for (const entries of [
      [a, b, c, d],
      [d, c, b, a],
      [b, d, a, c],
    ] as const) {
      const given = byId(
        entries.map((entry) => entry ?? stored),
        ({ id }) => id,
      );
      const plan = planSvids({
        ...{ entries: given, svids, watched: new Set<string>(), lastUsed: new Map(), maxSize: 2, now: NOW },
        stores: new Set(),
      });
      expect([[...plan.kept.keys()].toSorted(), plan.wanted]).toEqual([['c', 'd'], []]);
    }
  });

  test('gives the SVID of one that was not used for long to one that is wanted', () => {
    const svids = byId(
      four.slice(0, 2).map((entry) => svidOf(entry)),
      ({ entryId }) => entryId,
    );
    const lastUsed = new Map([['b', 1]]);
    const plan = { svids, lastUsed, watched: new Set(['c']) };
    expect(chosen(2, plan)).toEqual(['b', 'c', 's']);
  });
});

test('what somebody was connected for counts as used when they leave, the last one most', async () => {
  const cache = newCache();
  const other = entryOf('b', { selectors: [parseSelector('unix:uid:9')] });
  cache.replace(contentOf([entryOf('a'), other]));
  const visit = async (...visitor: readonly string[]) => {
    for await (const _ of cache.watch(visitor.map(parseSelector), new AbortController().signal)) return;
  };
  await visit('unix:uid:9');
  await visit('unix:uid:1');
  await visit('unix:uid:7');
  const order = () => [...cache.lastUsed].toSorted(([, one], [, two]) => one - two).map(([id]) => id);
  expect(order()).toEqual(['b', 'a']);
  await visit('unix:uid:9');
  expect(order()).toEqual(['a', 'b']);
  cache.replace(contentOf([other]));
  expect(order()).toEqual(['b']);
});

test('an SVID by an authority that is tainted or gone is due at once (inventory B002)', async () => {
  const authority = await TestAuthority.create(trustDomain);
  const now = new Date();
  const { certificates: chain } = await authority.issue({ spiffeId: 'spiffe://example.org/a' });
  const svids = new Map([['a', svidOf(plain, { chain, rotateAt: new Date(now.getTime() + 1e6) })]]);
  const dueAt = (by: Bundle) => withDistrusted(svids, by, now).get('a')?.rotateAt;
  const bundle = authority.bundle();
  expect(dueAt(bundle)).toEqual(svids.get('a')?.rotateAt);
  const tainted = { ...bundle, x509Authorities: bundle.x509Authorities.map((one) => ({ ...one, tainted: true })) };
  expect([dueAt(tainted), dueAt(ownBundle)]).toEqual([now, now]);
  expect([isTrustedX509Svid(chain, bundle, now), isTrustedX509Svid(chain, tainted, now)]).toEqual([true, false]);
});

test('workloads with one list of selectors share a view, until what it is made of changes or expires', async () => {
  let now = NOW;
  const cache = new WorkloadCache({ trustDomain, clock: () => now });
  const entry = entryOf('a');
  const second = svidOf(entry, { expiresAt: later(10) });
  cache.replace(contentOf([entry], [second]));
  const ask = async (list = selectors) => {
    for await (const view of cache.watch(list, new AbortController().signal)) return view;
    throw new Error('there is no view');
  };
  const first = await ask();
  expect(await ask()).toBe(first);
  expect(await ask([...selectors])).not.toBe(first);
  now = later(10);
  expect((await ask()).identities).toEqual([]);
  now = NOW; // a clock that was set back
  expect((await ask()).identities.length).toBe(1);
  cache.replace(contentOf([]));
  expect(await ask()).toMatchObject({ entries: [] });
});

test('a view that workloads share ends with its SVID, though the clock was set back since that came', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const beganAt = performance.now();
  const cache = new WorkloadCache({ trustDomain, clock: () => new Date(NOW.getTime() + performance.now() - beganAt) });
  const entry = entryOf('a');
  const atNine = steadyOffset(later(9)); // minutes: the clock was there as the SVID came, and is at NOW again
  cache.replace(contentOf([entry], [svidOf(entry, { expiresAt: later(10), steadyOffsetMs: atNine })]));
  const ask = async () => {
    for await (const view of cache.watch(selectors, new AbortController().signal)) return view.identities.length;
    throw new Error('there is no view');
  };
  expect(await ask()).toBe(1);
  vi.advanceTimersByTime(59_000);
  expect(await ask()).toBe(1);
  vi.advanceTimersByTime(2_000);
  expect(await ask()).toBe(0);
});

test('an entry ends while nothing else changes', async () => {
  let now = NOW;
  const cache = new WorkloadCache({ trustDomain, clock: () => now });
  cache.replace(contentOf([entryOf('a', { expiresAt: later(5).getTime() / 1000 })]));
  const ask = async () => {
    for await (const view of cache.watch(selectors, new AbortController().signal)) return idsOf(view);
    throw new Error('there is no view');
  };
  expect(await ask()).toEqual(['a']);
  now = later(5);
  expect(await ask()).toEqual([]);
});

test('thousands that follow are told one after the other, and others have their turn meanwhile', async () => {
  const changes = new ChangeSignal();
  const controller = new AbortController();
  const told: number[] = [];
  const followers = Array.from({ length: 1000 }, async (_, number) => {
    let first = true;
    for await (const _change of changes.follow(controller.signal)) {
      if (!first) told.push(number);
      first = false;
    }
  });
  await new Promise((resolve) => setImmediate(resolve));
  changes.notify();
  await new Promise((resolve) => setImmediate(resolve));
  expect(told.length).toBeGreaterThan(0);
  expect(told.length).toBeLessThan(1000);
  await eventually(() => expect(told).toEqual(Array.from({ length: 1000 }, (_, number) => number)));
  controller.abort();
  await Promise.all(followers);
});

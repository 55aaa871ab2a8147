import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { DelegationDeps } from '../../src/agent/delegation/delegation-deps.ts';
import { holdProcess } from '../../src/agent/delegation/held-process.ts';
import { requireDelegate } from '../../src/agent/delegation/require-delegate.ts';
import { fromApiEntry } from '../../src/agent/server-api/authorized-entry.ts';
import { Entry } from '../../src/gen/spire/api/types/types.ts';
import { Logger } from '../../src/log/logger.ts';
import type { CallContext } from '../../src/rpc/call.ts';
import { openProcess } from '../../src/rpc/pidfd.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { formatSelector, parseSelector, type Selector } from '../../src/spiffe/selector.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';

// What delegates, and those whom they speak for, are, is looked at again while a stream lasts.

const { signal } = new AbortController();
const PROXY = [parseSelector('docker:label:app:proxy')];
const OTHER = [parseSelector('docker:label:app:other')];

let answer: () => Promise<readonly Selector[]>;
beforeEach(() => {
  vi.useFakeTimers();
  answer = async () => PROXY;
});
afterEach(() => void vi.useRealTimers());

const entry = fromApiEntry(Entry.fromPartial({ id: 'a', spiffeId: { trustDomain: 'example.org', path: '/proxy' } }));
const deps: DelegationDeps = {
  authorizedIds: [parseSpiffeId('spiffe://example.org/proxy')],
  attest: () => answer(),
  reattestSeconds: 10,
  cache: {
    watch: async function* () {
      yield { entries: [], identities: [], federatedBundles: [] } as never;
    },
    watchBundles: async function* () {},
    changes: async function* () {},
    entriesOf: (selectors) => (selectors.some((one) => formatSelector(one).endsWith(':proxy')) ? [entry] : []),
  },
  fetchJwtSvid: () => expect.fail('nobody asks for a token'),
  onFirstSvids: () => {},
  log: new Logger(() => {}, 'debug'),
};

test.each([
  ['is no delegate any more', async () => OTHER, 'no identity issued'],
  ['is not found', () => Promise.reject(new SpiffeError('UNAUTHENTICATED', 'the caller has ended')), 'has ended'],
])('a delegate that %s is none', async (_what, then, message) => {
  using peer = openProcess(process.pid);
  using delegate = await requireDelegate({ peer, signal } as CallContext, deps);
  await vi.advanceTimersByTimeAsync(60_000);
  delegate.check();
  answer = then;
  await vi.advanceTimersByTimeAsync(11_000);
  expect(() => delegate.check()).toThrow(message);
});

test('a delegate that becomes something else goes on as long as that is authorized', async () => {
  using peer = openProcess(process.pid);
  using delegate = await requireDelegate({ peer, signal } as CallContext, deps);
  answer = async () => [...PROXY, ...OTHER];
  await vi.advanceTimersByTimeAsync(11_000);
  delegate.check();
  answer = () => Promise.reject(new SpiffeError('WORKLOAD_UNREADABLE', 'no attestor could tell'));
  await vi.advanceTimersByTimeAsync(60_000);
  delegate.check();
  answer = async () => OTHER;
  await vi.advanceTimersByTimeAsync(11_000);
  expect(() => delegate.check()).toThrow('no identity issued');
});

test('a process that a delegate speaks for is let go of once it is something else', async () => {
  const options = { seconds: 10, isSilence: () => false, call: signal };
  using held = await holdProcess(process.pid, () => answer(), options);
  await vi.advanceTimersByTimeAsync(60_000);
  held.check();
  answer = async () => OTHER;
  await vi.advanceTimersByTimeAsync(11_000);
  expect(() => held.check()).toThrow(
    expect.objectContaining({ code: 'REPLACED', message: expect.stringContaining('ask again') }),
  );
});

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SharedAttestations } from '../../src/agent/workloads/shared-attestations.ts';
import { Logger } from '../../src/log/logger.ts';
import type { WorkloadAttestor } from '../../src/plugin-host/kinds/workload-attestor.ts';
import type { UnixPeer } from '../../src/rpc/peer.ts';
import { parseSelector, type Selector } from '../../src/spiffe/selector.ts';

/** A connection of a process that can be ended. */
function connectionOf(pid: number): UnixPeer & { end(): void; readonly checks: number } {
  let isThere = true;
  let checks = 0;
  return {
    kind: 'unix',
    pid,
    uid: 0,
    gid: 0,
    startTimeTicks: 1,
    isAlive: () => isThere,
    isUnchanged: () => {
      checks += 1;
      return isThere;
    },
    end: () => {
      isThere = false;
    },
    get checks() {
      return checks;
    },
    [Symbol.dispose]: () => {},
  };
}

/** An attestor whose answers are given by hand, one after the other. */
function attestorByHand() {
  const asked: { readonly pid: number; readonly signal: AbortSignal; answer(value: string): void }[] = [];
  const attest = (pid: number, signal: AbortSignal) =>
    new Promise<readonly Selector[]>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')));
      asked.push({ pid, signal, answer: (value) => resolve([parseSelector(value)]) });
    });
  const attestor: WorkloadAttestor = { name: 'unix', attest, attestReference: async () => undefined };
  const told = vi.fn();
  const shared = new SharedAttestations({
    attestors: [attestor],
    logSelectors: [],
    onOutcomes: told,
    log: new Logger(() => {}),
  });
  return { asked, shared, told };
}

const { signal } = new AbortController();

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});
const settle = () => new Promise((resolve) => setImmediate(resolve));
const values = (selectors: readonly Selector[]) => selectors.map(({ value }) => value);

test('calls that come while a process is attested share the attestation that begins after they came', async () => {
  const { asked, shared, told } = attestorByHand();
  const [first, second] = [connectionOf(7), connectionOf(7)];
  const one = shared.attest(first, signal);
  const later = [first, second, second].map((peer) => shared.attest(peer, signal));
  await settle();
  expect(asked.length).toBe(1);
  asked[0]?.answer('unix:uid:1');
  expect(values(await one)).toEqual(['uid:1']);
  await settle();
  expect(asked.length).toBe(2);
  asked[1]?.answer('unix:uid:2');
  expect((await Promise.all(later)).map(values)).toEqual([['uid:2'], ['uid:2'], ['uid:2']]);
  expect(told.mock.calls.map(([peer]) => peer)).toEqual([first, first, second]);
  expect([first.checks, second.checks]).toEqual([4, 2]); // before and after each attestation
});

test('processes do not wait for each other', async () => {
  const { asked, shared } = attestorByHand();
  const calls = [1, 2].map((pid) => shared.attest(connectionOf(pid), signal));
  await settle();
  expect(asked.map(({ pid }) => pid)).toEqual([1, 2]);
  for (const { pid, answer } of asked) answer(`unix:uid:${pid}`);
  expect((await Promise.all(calls)).map(values)).toEqual([['uid:1'], ['uid:2']]);
});

test('nobody waits long for an attestor that is slow', async () => {
  const { asked, shared } = attestorByHand();
  const slow = shared.attest(connectionOf(7), signal);
  const next = shared.attest(connectionOf(7), signal);
  await settle();
  expect(asked.length).toBe(1);
  vi.advanceTimersByTime(10);
  await settle();
  asked[1]?.answer('unix:uid:2');
  expect(values(await next)).toEqual(['uid:2']);
  asked[0]?.answer('unix:uid:1');
  expect(values(await slow)).toEqual(['uid:1']);
  const again = shared.attest(connectionOf(7), signal);
  await settle();
  asked[2]?.answer('unix:uid:3');
  expect(values(await again)).toEqual(['uid:3']);
});

test('a process that ends, whose number another gets, gets nothing of what is found of that one', async () => {
  const { asked, shared } = attestorByHand();
  const running = shared.attest(connectionOf(7), signal);
  await settle();
  const [ended, successor] = [connectionOf(7), connectionOf(7)];
  const refused = shared.attest(ended, signal);
  const served = shared.attest(successor, signal);
  asked[0]?.answer('unix:uid:1');
  await running;
  await settle();
  ended.end(); // while it is attested
  asked[1]?.answer('unix:uid:2');
  await expect(refused).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(values(await served)).toEqual(['uid:2']);
});

test('one that has ended before it is attested is not', async () => {
  const { asked, shared } = attestorByHand();
  const peer = connectionOf(7);
  peer.end();
  await expect(shared.attest(peer, signal)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(asked).toEqual([]);
});

test('a call that is cancelled leaves, and the last one takes the attestation along', async () => {
  const { asked, shared } = attestorByHand();
  const [some, all] = [new AbortController(), new AbortController()];
  const peer = connectionOf(7);
  const running = shared.attest(connectionOf(7), signal);
  const calls = [some, all].map((controller) => shared.attest(peer, controller.signal));
  await settle();
  asked[0]?.answer('unix:uid:1');
  await running;
  await settle();
  some.abort();
  await expect(calls[0]).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(asked[1]?.signal.aborted).toBe(false);
  all.abort();
  await expect(calls[1]).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(asked[1]?.signal.aborted).toBe(true);
  await settle();
  const before = shared.attest(peer, signal);
  const gone = shared.attest(peer, AbortSignal.abort());
  const next = shared.attest(peer, signal);
  await expect(gone).rejects.toMatchObject({ code: 'CANCELLED' });
  for (const place of [2, 3]) {
    await settle();
    asked[place]?.answer(`unix:uid:${place}`);
  }
  expect((await Promise.all([before, next])).map(values)).toEqual([['uid:2'], ['uid:3']]);
});

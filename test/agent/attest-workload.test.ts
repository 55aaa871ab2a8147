import { expect, test, vi } from 'vitest';
import { attestWorkload } from '../../src/agent/workloads/attest-workload.ts';
import { KnownSelectors } from '../../src/agent/workloads/known-selectors.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import type { WorkloadAttestor } from '../../src/plugin-host/kinds/workload-attestor.ts';
import type { UnixPeer } from '../../src/rpc/peer.ts';
import { parseSelector } from '../../src/spiffe/selector.ts';

const { signal } = new AbortController();

/** A process that is itself when asked so often, and then has ended or become another program. */
function processThere(times: number, isAlive = false): UnixPeer {
  let asked = 0;
  return {
    kind: 'unix',
    pid: 4711,
    uid: 0,
    gid: 0,
    startTimeTicks: 1,
    isAlive: () => isAlive,
    isUnchanged: () => asked++ < times,
    [Symbol.dispose]: () => {},
  };
}

const says = (...selectors: readonly string[]): WorkloadAttestor => {
  const attest = async () => selectors.map(parseSelector);
  return { name: 'unix', attest, attestReference: attest };
};
const breaks = async () => {
  throw new Error('it broke');
};
const fails: WorkloadAttestor = { name: 'broken', attest: breaks, attestReference: breaks };

function attest(attestors: readonly WorkloadAttestor[], peer = processThere(2), logSelectors: readonly string[] = []) {
  const records: LogRecord[] = [];
  const log = new Logger((record) => records.push(record), 'debug');
  return { records, selectors: attestWorkload(peer, signal, { attestors, logSelectors, log }) };
}

test('what all attestors found counts together', async () => {
  const { selectors } = attest([says('unix:uid:1'), says('docker:label:a:b')]);
  expect(await selectors).toEqual([
    { type: 'unix', value: 'uid:1' },
    { type: 'docker', value: 'label:a:b' },
  ]);
});

test('one that fails is left out and logged', async () => {
  const { selectors, records } = attest([fails, says('unix:uid:1')]);
  expect(await selectors).toEqual([{ type: 'unix', value: 'uid:1' }]);
  expect(records).toContainEqual(
    expect.objectContaining({ level: 'error', fields: { pid: 4711, reason: 'it broke' } }),
  );
});

test('of one that fails later, what it said of the same connection holds, and of no other (known selectors)', async () => {
  const known = new KnownSelectors();
  const log = new Logger(() => {});
  const peer = processThere(Number.POSITIVE_INFINITY);
  let isDown = false;
  const docker: WorkloadAttestor = {
    ...says(),
    name: 'docker',
    attest: async () => (isDown ? await breaks() : [parseSelector('docker:label:a:b')]),
  };
  const ask = async (of: UnixPeer) => {
    const options = { attestors: [says('unix:uid:1'), docker], logSelectors: [], known, log };
    return (await attestWorkload(of, signal, options)).map(({ type }) => type);
  };
  expect(await ask(peer)).toEqual(['unix', 'docker']);
  isDown = true;
  expect(await ask(peer)).toEqual(['unix', 'docker']);
  expect(await ask(processThere(2))).toEqual(['unix']);
});

test('of one that fails for more than an hour nothing is known any more', () => {
  const known = new KnownSelectors();
  const peer = processThere(Number.POSITIVE_INFINITY);
  vi.useFakeTimers();
  try {
    known.remember(peer, 'docker', [parseSelector('docker:label:a:b')]);
    vi.advanceTimersByTime(3_600_000);
    expect(known.find(peer, 'docker')).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(known.find(peer, 'docker')).toBeUndefined();
  } finally {
    vi.useRealTimers();
  }
});

test('where all fail nobody is anything', async () => {
  await expect(attest([fails, fails]).selectors).rejects.toMatchObject({ code: 'WORKLOAD_UNREADABLE' });
});

test.each([
  ['has ended before', processThere(0), /has ended$/],
  ['ends meanwhile, and its number may be another’s', processThere(1), /has ended$/],
  ['becomes another program meanwhile', processThere(1, true), /another program or user/],
])('a process that %s is nobody (inventory B024)', async (_when, peer, message) => {
  await expect(attest([says('unix:uid:0')], peer).selectors).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringMatching(message),
  });
});

test('only a process on this node is a workload', async () => {
  const log = new Logger(() => {});
  const remote = { kind: 'tls', address: '127.0.0.1', port: 1, certificates: [] } as const;
  await expect(attestWorkload(remote, signal, { attestors: [], logSelectors: [], log })).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
  });
});

test.each([
  [[], undefined],
  [['unix'], 'unix:uid:1 unix:gid:2'],
  [['unix:uid'], 'unix:uid:1'],
  [['uni', 'unix:ui'], undefined],
])('with log_selectors %j the log shows %j (inventory C088)', async (logSelectors, shown) => {
  const { selectors, records } = attest([says('unix:uid:1', 'unix:gid:2')], processThere(2), logSelectors);
  await selectors;
  expect(records.find(({ message }) => message === 'workload attested')?.fields).toEqual({
    pid: 4711,
    count: 2,
    selectors: shown,
  });
});

test('the value of a variable is in no log, whatever may be logged', async () => {
  const variables = says(
    'docker:env:TOKEN=hidden',
    'docker:env:KEY=a=hidden\nhidden',
    'docker:env:EMPTY=',
    'docker:label:a:b',
  );
  const { selectors, records } = attest([variables], processThere(2), ['docker', 'docker:env:TOKEN=hidden']);
  expect(await selectors).toHaveLength(4);
  const shown = 'docker:env:TOKEN=… docker:env:KEY=… docker:env:EMPTY= docker:label:a:b';
  expect(records.map(({ fields }) => fields.selectors)).toEqual([shown]);
});

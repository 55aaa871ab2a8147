import { expect, test, vi } from 'vitest';
import { attestReference } from '../../src/agent/broker/attest-reference.ts';
import { fromApiEntry } from '../../src/agent/server-api/authorized-entry.ts';
import { LogRefusals } from '../../src/agent/why/log-refusals.ts';
import { RefusedCalls } from '../../src/agent/why/refused-calls.ts';
import { WorkloadPIDReference } from '../../src/gen/spiffe/broker/broker.ts';
import { Entry } from '../../src/gen/spire/api/types/types.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import type { WorkloadAttestor, WorkloadReference } from '../../src/plugin-host/kinds/workload-attestor.ts';
import type { CallContext } from '../../src/rpc/call.ts';
import { openProcess } from '../../src/rpc/pidfd.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { parseSelector, type Selector } from '../../src/spiffe/selector.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';

const callerId = parseSpiffeId('spiffe://example.org/broker');
const { signal } = new AbortController();

type Attest = (given: WorkloadReference) => Promise<readonly Selector[]>;

function hold(reference: WorkloadReference, ...attest: readonly Attest[]) {
  const attestors = attest.map(
    (one): WorkloadAttestor => ({ name: 'a', attest: async () => [], attestReference: one }),
  );
  return attestReference(reference, { attestors, callerId, signal, reattestSeconds: 10 });
}

const POD: WorkloadReference = { typeUrl: 'type.googleapis.com/a.Pod', value: new Uint8Array() };
const PROCESS: WorkloadReference = {
  typeUrl: 'type.googleapis.com/spiffe.broker.WorkloadPIDReference',
  value: WorkloadPIDReference.encode({ pid: process.pid }).finish(),
};

test('a plugin gets the process ID that was held, not the bytes that it was read from', async () => {
  const typeUrl = 'type.googleapis.com/spiffe.broker.WorkloadPIDReference';
  const canonical = WorkloadPIDReference.encode({ pid: process.pid }).finish();
  const given: Buffer[] = [];
  const value = Buffer.concat([Buffer.from([0x08, 1]), canonical]); // the field twice: the last one counts
  using held = await hold({ typeUrl, value }, async (reference) => {
    given.push(Buffer.from(reference.value));
    return [parseSelector('unix:uid:0')];
  });
  held.check();
  expect(given).toEqual([Buffer.from(canonical)]);
});

test.each([
  ['pod', 'gone', POD, 'has gone'],
  ['pod', 'other', POD, 'another one'],
  ['pod', 'down', POD, 'down'],
  ['process', 'gone', PROCESS, 'has gone'],
  ['process', 'other', PROCESS, 'other selectors'],
  ['process', 'down', PROCESS, 'down'],
] as const)('a reference to a %s is attested again: %s', async (_what, then, reference, message) => {
  vi.useFakeTimers();
  try {
    let answer = async (): Promise<readonly Selector[]> => [parseSelector('k8s:ns:web')];
    using held = await hold(reference, () => answer());
    await vi.advanceTimersByTimeAsync(30_000);
    held.check();
    answer = async () => {
      if (then === 'gone') throw new SpiffeError('WORKLOAD_NOT_FOUND', 'the pod has gone');
      if (then === 'down') throw new Error('down');
      return [parseSelector('k8s:ns:other')];
    };
    await vi.advanceTimersByTimeAsync(then === 'down' ? 3_620_000 : 10_000);
    expect(() => held.check()).toThrow(message);
  } finally {
    vi.useRealTimers();
  }
});

test.each([
  ['pod', POD],
  ['process', PROCESS],
] as const)('one attestor that is down takes nothing back of a %s', async (_what, reference) => {
  vi.useFakeTimers();
  try {
    let answer = async (): Promise<readonly Selector[]> => [parseSelector('k8s:ns:web')];
    using held = await hold(
      reference,
      async () => [parseSelector('unix:uid:0')],
      () => answer(),
    );
    expect(held.selectors).toHaveLength(2);
    answer = async () => {
      throw new Error('down');
    };
    await vi.advanceTimersByTimeAsync(600_000);
    held.check();
  } finally {
    vi.useRealTimers();
  }
});

test('the times of entries are times', () => {
  const times = (expiresAt: bigint) => {
    const spiffeId = { trustDomain: 'example.org', path: '/web' };
    return fromApiEntry(Entry.fromPartial({ id: 'a', spiffeId, expiresAt, createdAt: expiresAt }));
  };
  for (const time of [2n ** 63n - 1n, -(2n ** 63n)]) {
    const { expiresAt, createdAt } = times(time);
    for (const seconds of [expiresAt, createdAt]) expect(new Date(seconds * 1000).getTime()).not.toBeNaN();
    expect(expiresAt > 0).toBe(time > 0n);
  }
  expect([times(0n).expiresAt, times(1_700_000_000n).expiresAt]).toEqual([0, 1_700_000_000]);
});

test('what keeps the log from telling why is told, and ends nothing', async () => {
  using peer = openProcess(process.pid);
  const records: LogRecord[] = [];
  using refusals = new LogRefusals({
    explainer: {
      explainOutcomes: async () => {
        throw new RangeError('Invalid time value');
      },
    },
    refused: new RefusedCalls(),
    logSelectors: [],
    log: new Logger((record) => records.push(record), 'debug'),
    clock: () => new Date(),
  });
  refusals.after({ peer, method: '/m' } as unknown as CallContext, new SpiffeError('NO_IDENTITY', 'none'));
  await expect.poll(() => records.map(({ level }) => level)).toEqual(['debug']);
});

import { describe, expect, test } from 'vitest';
import type { BootFacts } from '../../../src/tpm/boot/boot-facts.ts';
import { type BootEvidence, readBootFacts } from '../../../src/tpm/boot/read-boot-facts.ts';
import { RememberedEventLogs } from '../../../src/tpm/boot/remembered-event-logs.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-log/event-types.ts';
import { parseEventLog } from '../../../src/tpm/event-log/parse-event-log.ts';
import { denied, refusalOf } from '../refusals.ts';
import { recordedBoot } from './recorded-boot.ts';

const { ima: _ima, ...recorded } = recordedBoot('direct-kernel');
const eventLog = recorded.eventLog ?? new Uint8Array();
const pcrs = recorded.quoted.get('sha256') ?? new Map<number, Uint8Array>();
const withPcr = (index: number, value: Uint8Array): BootEvidence => ({
  ...recorded,
  quoted: new Map([['sha256', new Map(pcrs).set(index, value)]]),
});
const [measured] = parseEventLog(eventLog).events.filter(({ type }) => type !== EVENT_TYPE.EV_NO_ACTION);
const digestAt = Buffer.from(eventLog).indexOf(measured?.digests.get('sha256') ?? 'none');
/** Facts that are the very same were not read again. */
const isSame = (one: BootFacts, other: BootFacts) =>
  one.loaders === other.loaders && one.secureBoot === other.secureBoot;

describe('the event log of a machine that comes again', () => {
  const logs = new RememberedEventLogs();
  const read = (evidence: BootEvidence, owner = 'machine') =>
    readBootFacts({ ...evidence, remembered: logs.of(owner) });
  const first = read(recorded);

  test('is not read again, and says the same', () => {
    const again = read({ ...recorded, eventLog: Uint8Array.from(eventLog) });
    expect(isSame(again, first)).toBe(true);
    expect(again).toEqual(readBootFacts(recorded));
  });

  test('is not read again where IMA has measured more', () => {
    const again = read(withPcr(10, new Uint8Array(32).fill(7)));
    expect(isSame(again, first)).toBe(true);
    expect(again.pcrs.get(10)).toEqual(new Uint8Array(32).fill(7));
  });

  test.each<readonly [string, BootEvidence]>([
    ['the command line that it tells is another', { ...recorded, commandLineHint: 'quiet' }],
    ['it tells no command line', { ...recorded, commandLineHint: undefined }],
    ['the bank is another', recordedBoot('direct-kernel', 'sha384')],
    ['another PCR was quoted', withPcr(15, new Uint8Array(32))],
    [
      'fewer PCRs were quoted',
      { ...recorded, quoted: new Map([['sha256', new Map([...pcrs].filter(([index]) => index !== 14))]]) },
    ],
  ])('is read again where %s', (_what, evidence) => {
    const kept = read(recorded);
    expect(isSame(read(evidence), kept)).toBe(false);
  });

  test('is read of each machine', () => {
    const kept = read(recorded);
    expect(isSame(read(recorded, 'another'), kept)).toBe(false);
    expect(isSame(read(recorded), kept)).toBe(true);
  });

  test.each<readonly [string, BootEvidence]>([
    ['a PCR is another', withPcr(4, new Uint8Array(32).fill(1))],
    [
      'a byte of a digest is another',
      { ...recorded, eventLog: eventLog.map((byte, at) => (at === digestAt ? byte ^ 1 : byte)) },
    ],
    ['its end is missing', { ...recorded, eventLog: eventLog.subarray(0, -1) }],
  ])('is refused as ever where %s', (_what, evidence) => {
    const kept = read(recorded);
    expect(refusalOf(() => read(evidence))).toEqual(denied('D\\d+', /./));
    expect(isSame(read(recorded), kept)).toBe(true); // what was refused leaves nothing behind
  });
});

test('of too many logs those that were not asked for longest are forgotten', () => {
  const logs = new RememberedEventLogs(eventLog.length * 2);
  const read = (owner: string) => readBootFacts({ ...recorded, remembered: logs.of(owner) });
  const [a, b] = [read('a'), read('b')];
  expect(isSame(read('a'), a)).toBe(true);
  const c = read('c');
  expect(['a', 'c'].map(read).map((facts, index) => isSame(facts, index === 0 ? a : c))).toEqual([true, true]);
  expect(isSame(read('b'), b)).toBe(false);
});

test('one that is too large by itself is not kept', () => {
  const logs = new RememberedEventLogs(eventLog.length - 1);
  const read = () => readBootFacts({ ...recorded, remembered: logs.of('a') });
  expect(isSame(read(), read())).toBe(false);
});

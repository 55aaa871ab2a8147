import { describe, expect, test } from 'vitest';
import type { BootFacts } from '../../../src/tpm/boot/boot-facts.ts';
import { readBootFacts } from '../../../src/tpm/boot/read-boot-facts.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-log/event-types.ts';
import { bootSelectors } from '../../../src/tpm/policy/boot-selectors.ts';
import { judge } from '../../../src/tpm/policy/judge.ts';
import { learn } from '../../../src/tpm/policy/learn.ts';
import { encodeSpecId, type MadeEvent } from '../made-event-log.ts';
import { refusalOf } from '../refusals.ts';
import { MACHINES } from '../vectors.ts';
import { forgedOf, recordedLog } from './made-boot.ts';
import { recordedBoot } from './recorded-boot.ts';

// Whoever is root can write any log; the quote is the machine's. Nothing that is done to the log earns a selector or a policy.

/** Those that anything is read from, and one that nothing is. */
const TYPES = [
  EVENT_TYPE.EV_SEPARATOR,
  EVENT_TYPE.EV_S_CRTM_VERSION,
  EVENT_TYPE.EV_IPL,
  EVENT_TYPE.EV_EVENT_TAG,
  EVENT_TYPE.EV_EFI_ACTION,
  EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION,
  EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG,
  EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY,
  EVENT_TYPE.EV_EFI_SPDM_DEVICE_POLICY,
  EVENT_TYPE.EV_COMPACT_HASH,
];

/** Met as it was, or refused by a check or a rule of the policy. */
const EARNS_NOTHING = /^(met|C22|D\d+|P\d+|E41)$/;

describe.each(MACHINES)('the log of %s', (machine) => {
  const evidence = recordedBoot(machine);
  const log = recordedLog(machine);
  const honest = readBootFacts(evidence);
  const policies = [learn([honest], { name: 'learned', pcrs: [0, 7] })];
  const earned = new Set(bootSelectors(honest, judge(policies, honest)));
  const extending = log.events.filter(({ type }) => type !== EVENT_TYPE.EV_NO_ACTION);

  /** The check that refuses a changed log, or whether the machine is still called what it is called. */
  function outcomeOf(events: readonly MadeEvent[]): string {
    const facts = factsOrRefusal(events);
    if (typeof facts === 'string') return facts;
    const verdict = judge(policies, facts);
    const gained = bootSelectors(facts, verdict).filter((selector) => !earned.has(selector));
    expect(gained).toEqual([]);
    return verdict.isMet ? 'met' : (verdict.refusals[0]?.rule ?? '');
  }

  function factsOrRefusal(events: readonly MadeEvent[]): BootFacts | string {
    try {
      return readBootFacts(forgedOf(evidence, log, events));
    } catch (error) {
      const { message = '' } = error as Error;
      return /\(check ([A-Z]\d+)\)$/.exec(message)?.[1] ?? message;
    }
  }

  const at = (number: number, change: (one: MadeEvent) => readonly MadeEvent[]) =>
    log.events.flatMap((one) => (one.number === number ? change(one) : [one]));

  test('as it is meets the policy that was learned from it', () => {
    expect(outcomeOf(log.events)).toBe('met');
    expect(earned).toContain('policy:learned');
  });

  test.each(extending.map(({ number }) => number))('without event %i is refused (D28)', (number) => {
    expect(outcomeOf(at(number, () => []))).toBe('D28');
  });

  test.each(extending.map(({ number }) => number))('with event %i twice is refused (D28)', (number) => {
    expect(outcomeOf(at(number, (one) => [one, one]))).toBe('D28');
  });

  test.each(extending.map(({ number }) => number))('with the digest of event %i changed is refused (D28)', (number) => {
    const digests = (one: MadeEvent) =>
      new Map([...one.digests].map(([bank, digest]) => [bank, digest.map((byte) => byte ^ 0x80)]));
    expect(outcomeOf(at(number, (one) => [{ ...one, digests: digests(one) }]))).toBe('D28');
  });

  test.each(extending.map(({ number }) => number))('with event %i moved to another PCR is refused (D28)', (number) => {
    expect(outcomeOf(at(number, (one) => [{ ...one, pcr: one.pcr === 4 ? 5 : 4 }]))).toBe('D28');
  });

  test.each(extending.slice(1).map(({ number }) => number))('with event %i before the one in front of it', (number) => {
    const [before, one] = [log.events[number - 2], log.events[number - 1]];
    if (before === undefined || one === undefined) throw new RangeError('no such event');
    const swapped = log.events.with(number - 2, one).with(number - 1, before);
    const isSame =
      Buffer.compare(one.digests.get('sha256') ?? one.data, before.digests.get('sha256') ?? one.data) === 0;
    expect(outcomeOf(swapped)).toBe(one.pcr !== before.pcr || isSame ? 'met' : 'D28');
  });

  test.each(extending.map(({ number }) => number))('with event %i called anything else earns nothing', (number) => {
    const outcomes = TYPES.map((type) => outcomeOf(at(number, (one) => [{ ...one, type }])));
    expect(outcomes.filter((outcome) => !EARNS_NOTHING.test(outcome))).toEqual([]);
  });

  test.each(extending.map(({ number }) => number))('with the data of event %i edited earns nothing', (number) => {
    for (const position of [0, 4, 16, 33, 48]) {
      const edited = (one: MadeEvent) => one.data.map((byte, index) => (index === position ? byte ^ 0x01 : byte));
      expect(outcomeOf(at(number, (one) => [{ ...one, data: edited(one) }]))).toMatch(EARNS_NOTHING);
    }
    expect(outcomeOf(at(number, (one) => [{ ...one, data: Buffer.alloc(0) }]))).toMatch(EARNS_NOTHING);
  });

  test.each([4, 7])('stripped of PCR %i is refused, by the PCR (D28)', (pcr) => {
    expect(outcomeOf(log.events.filter((one) => one.pcr !== pcr))).toBe('D28');
  });

  test('that is empty, or is cut off, or has something behind it is refused', () => {
    const read = (eventLog: Uint8Array) => refusalOf(() => readBootFacts({ ...evidence, eventLog }));
    const whole = evidence.eventLog ?? new Uint8Array();
    for (const bytes of [
      new Uint8Array(),
      encodeSpecId(),
      whole.subarray(0, -1),
      Buffer.concat([whole, Buffer.of(0)]),
    ]) {
      expect(read(bytes)).toMatchObject({ code: 'ATTESTATION_DENIED' });
    }
  });
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parsePcrFile } from '../../src/cli/parse-pcr-file.ts';
import { describeEvent } from '../../src/tpm/event-log/describe-event.ts';
import { EVENT_TYPE } from '../../src/tpm/event-log/event-types.ts';
import { isErrorSeparator, judgeEvents } from '../../src/tpm/event-log/judge-events.ts';
import {
  type EventLog,
  type LogEvent,
  MAX_EVENT_LOG_BYTES,
  parseEventLog,
} from '../../src/tpm/event-log/parse-event-log.ts';
import { replayEventLog, requireReplay } from '../../src/tpm/event-log/replay.ts';
import { parseUefiVariable } from '../../src/tpm/event-log/uefi-variable.ts';
import { u32 } from './little-endian.ts';
import { encodeAgain, encodeEvent, encodeEventLog, encodeSpecId, event, type MadeEvent } from './made-event-log.ts';
import { denied, refusalOf } from './refusals.ts';

const MACHINES = ['direct-kernel', 'shim-grub-secure-boot'] as const;
const BANKS = ['sha1', 'sha256', 'sha384'] as const;
const vector = (machine: string, name: string) =>
  readFileSync(join(import.meta.dirname, '..', 'vectors', 'tpm', machine, name));
const logOf = (machine: string) => parseEventLog(vector(machine, 'binary_bios_measurements'));
const valuesOf = (machine: string, bank: (typeof BANKS)[number]) =>
  parsePcrFile(vector(machine, 'pcrs-before.txt').toString()).get(bank) ?? new Map<number, Uint8Array>();

const SEPARATOR = event(7, 'EV_SEPARATOR', Buffer.alloc(4));

describe.each(MACHINES)('the log of a real machine, %s', (machine) => {
  test.each(BANKS)('gives what its TPM had, in the bank %s', (bank) => {
    requireReplay(replayEventLog(logOf(machine), bank), valuesOf(machine, bank));
  });

  test.each(BANKS)('is sound, and the same data is authenticated in the bank %s', (bank) => {
    const trusted = judgeEvents(logOf(machine), bank).filter(({ isAuthenticated }) => isAuthenticated);
    expect(trusted.map(({ event: { number } }) => number)).toEqual(
      judgeEvents(logOf(machine), 'sha256').flatMap((one) => (one.isAuthenticated ? [one.event.number] : [])),
    );
    expect(trusted.length).toBeGreaterThan(15);
  });

  test('is read as tpm2_eventlog reads it', () => {
    const theirs = vector(machine, 'eventlog.yaml')
      .toString()
      .matchAll(/- EventNum: \d+\n {2}PCRIndex: (\d+)\n {2}EventType: (\w+)\n/g);
    const [, ...events] = [...theirs].map(([, pcr, type]) => [Number(pcr), type]);
    const names = new Map(Object.entries(EVENT_TYPE).map(([name, type]) => [type as number, name]));
    expect(logOf(machine).events.map(({ pcr, type }) => [pcr, names.get(type)])).toEqual(events);
  });

  test('is the same when it is written again', () => {
    const bytes = vector(machine, 'binary_bios_measurements');
    expect(Buffer.compare(encodeAgain(parseEventLog(bytes)), bytes)).toBe(0);
  });

  test('cut off anywhere is refused, or is a shorter log that does not give what the TPM had', () => {
    const bytes = vector(machine, 'binary_bios_measurements');
    for (let length = 0; length < bytes.length; length += 1 + (length % 7)) {
      expect(
        refusalOf(() =>
          requireReplay(
            replayEventLog(parseEventLog(bytes.subarray(0, length)), 'sha256'),
            valuesOf(machine, 'sha256'),
          ),
        ),
      ).toMatchObject({ code: 'ATTESTATION_DENIED' });
    }
  });

  test('with any one bit turned over is refused, or says what it said', () => {
    const bytes = vector(machine, 'binary_bios_measurements');
    const says = (log: EventLog) =>
      judgeEvents(log, 'sha256').map(({ event: one, isAuthenticated }) =>
        isAuthenticated ? describeEvent(one).replace(/ \(called .*\)$/, '') : '',
      );
    const told = says(logOf(machine));
    for (let bit = 0; bit < bytes.length * 8; bit += 211) {
      const changed = new Uint8Array(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      try {
        const log = parseEventLog(changed);
        requireReplay(replayEventLog(log, 'sha256'), valuesOf(machine, 'sha256'));
        for (const [index, said] of says(log).entries()) if (said !== '') expect(said).toBe(told[index]);
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^(ATTESTATION_DENIED|TPM_DATA_INVALID)$/) });
      }
    }
  });
});

test('what the machine with Secure Boot says is told in words', () => {
  const texts = logOf('shim-grub-secure-boot').events.map(describeEvent);
  expect(texts).toEqual(
    expect.arrayContaining([
      '8be4df61-93ca-11d2-aa0d-00e098032b8c SecureBoot = 01',
      'Calling EFI Application from Boot Option',
      '\\EFI\\BOOT\\grubx64.efi, an image of 4183488 bytes',
      'kernel_cmdline: /vmlinuz console=ttyS0 ima_policy=tcb rootfstype=ramfs panic=-1',
      'disk 11111111-2222-3333-4444-555555555555, 1 partitions',
      '917504 bytes of firmware at 0x820000',
    ]),
  );
  expect(logOf('direct-kernel').events.map(describeEvent)).toEqual(
    expect.arrayContaining(['command line: LOADED_IMAGE::LoadOptions', 'initrd: Linux initrd']),
  );
});

describe('a log is refused', () => {
  const spec = encodeSpecId();
  const separator = encodeEvent(SEPARATOR);
  const onlyIn = (banks: readonly ('sha1' | 'sha256')[]) => ({
    ...SEPARATOR,
    digests: new Map(banks.map((bank) => [bank, SEPARATOR.digests.get(bank) ?? new Uint8Array()])),
  });
  const twice = (bank: number, digest: Uint8Array) => {
    const one = Buffer.concat([Buffer.from([bank, 0]), digest]);
    return Buffer.concat([spec, u32(7), u32(4), u32(2), one, one, u32(0)]);
  };
  test.each<readonly [string, Uint8Array, string, RegExp]>([
    ['that is empty', Buffer.alloc(0), 'D26', /0 bytes left at byte 0, where 4 are announced/],
    ['without a Spec ID event', separator, 'D2[56]', /./],
    [
      'whose first event is called something else',
      encodeSpecId({ type: 4 }),
      'D25',
      /does not begin with a Spec ID event/,
    ],
    ['of TPM 1.2', encodeSpecId({ signature: 'Spec ID Event00' }), 'D25', /does not begin with a Spec ID event/],
    [
      'with two Spec ID events',
      Buffer.concat([spec, encodeEvent(event(0, 'EV_NO_ACTION', Buffer.from('Spec ID Event03\0')))]),
      'D25',
      /event 1 \(EV_NO_ACTION\) is a second Spec ID event/,
    ],
    ['of no algorithms', encodeSpecId({ banks: [] }), 'D25', /announces 0 hash algorithms/],
    ['of 17 algorithms', encodeSpecId({ count: 17 }), 'D25', /announces 17 hash algorithms/],
    [
      'of an algorithm twice',
      encodeSpecId({
        banks: [
          [0x0b, 32],
          [0x0b, 32],
        ],
      }),
      'D25',
      /a hash algorithm twice/,
    ],
    [
      'of an algorithm with another size',
      encodeSpecId({ banks: [[0x0b, 20]] }),
      'D25',
      /gives sha256 20 bytes, it has 32/,
    ],
    ['with bytes behind the Spec ID', encodeSpecId({ tail: Buffer.alloc(1) }), 'D25', /followed by 1 bytes of nothing/],
    ['with a digest missing', encodeEventLog([onlyIn(['sha256'])]), 'D25', /has 1 digests, the log announces 2/],
    ['with a digest twice', twice(0x0b, Buffer.alloc(32)), 'D25', /has two digests by sha256/],
    ['with a digest that was not announced', twice(0x0c, Buffer.alloc(48)), 'D25', /has a digest by sha384/],
    ['with an event for PCR 24', encodeEventLog([{ ...SEPARATOR, pcr: 24 }]), 'D26', /is for PCR 24/],
    [
      'with data of 4 GiB',
      Buffer.concat([spec, separator.subarray(0, -8), u32(0xffff_ffff)]),
      'D26',
      /where 4294967295 are announced/,
    ],
    ['with bytes behind it', Buffer.concat([encodeEventLog([SEPARATOR]), Buffer.alloc(3)]), 'D26', /3 bytes left/],
    ['that is too large', Buffer.alloc(MAX_EVENT_LOG_BYTES + 1), 'D26', /at most 4194304 are read/],
    [
      'with too many events',
      encodeEventLog(Array.from({ length: 16_385 }, () => ({ ...SEPARATOR, data: Buffer.alloc(0) }))),
      'D26',
      /more than 16384 events/,
    ],
  ])('%s', (_what, bytes, check, message) => {
    expect(refusalOf(() => parseEventLog(bytes))).toEqual(denied(check, message));
  });

  test('of an unknown algorithm', () => {
    expect(refusalOf(() => parseEventLog(encodeSpecId({ banks: [[0x99, 32]] })))).toMatchObject({
      code: 'TPM_DATA_INVALID',
    });
  });
});

describe('the startup locality', () => {
  const locality = (...bytes: number[]) =>
    event(0, 'EV_NO_ACTION', Buffer.concat([Buffer.from('StartupLocality\0'), Buffer.from(bytes)]));
  const replay = (...events: MadeEvent[]) => replayEventLog(parseEventLog(encodeEventLog(events)), 'sha256');

  test.each([0, 3, 4])('%i is what PCR 0 starts with', (value) => {
    expect(Buffer.from(replay(locality(value))[0]?.value ?? []).toString('hex')).toBe(
      value.toString(16).padStart(64, '0'),
    );
    const [started, usual] = [replay(locality(value), { ...SEPARATOR, pcr: 0 }), replay({ ...SEPARATOR, pcr: 0 })];
    expect(Buffer.compare(started[0]?.value ?? Buffer.alloc(0), usual[0]?.value ?? Buffer.alloc(0)) === 0).toBe(
      value === 0,
    );
  });

  test.each<readonly [string, readonly MadeEvent[], RegExp]>([
    ['twice', [locality(3), locality(3)], /event 2 gives the startup locality where it has no place/],
    ['for another PCR', [{ ...locality(3), pcr: 1 }], /where it has no place/],
    ['behind an extend', [{ ...SEPARATOR, pcr: 0 }, locality(3)], /where it has no place/],
    ['of another number', [locality(2)], /none of 0, 3, 4/],
    ['without a number', [locality()], /none of 0, 3, 4/],
    ['with bytes behind it', [locality(3, 0)], /none of 0, 3, 4/],
  ])('%s is refused', (_what, events, message) => {
    expect(refusalOf(() => replay(...events))).toEqual(denied('D27', message));
  });
});

describe('a replay', () => {
  const machine = 'shim-grub-secure-boot';
  const without = (isGone: (one: LogEvent) => boolean): EventLog => {
    const log = logOf(machine);
    return { ...log, events: log.events.filter((one) => !isGone(one)) };
  };
  const refusal = (log: EventLog) =>
    refusalOf(() => requireReplay(replayEventLog(log, 'sha256'), valuesOf(machine, 'sha256')));

  test.each([4, 7, 8, 9, 14])('of a log that lost what is of PCR %i is refused', (pcr) => {
    expect(refusal(without((one) => one.pcr === pcr))).toEqual(
      denied('D28', new RegExp(`PCR ${pcr} is [0-9a-f]{64}, but the event log has no event for it`)),
    );
  });

  test('of a log whose order was changed is refused', () => {
    const log = logOf(machine);
    const events = log.events.toSorted((a, b) => (a.pcr === 7 && b.pcr === 7 ? b.number - a.number : 0));
    expect(refusal({ ...log, events })).toEqual(denied('D28', /PCR 7 is .*, but the event log gives .* by 9 events/));
  });

  test('leaves PCR 10, which is IMA’s, and those from 16 on alone', () => {
    const others = new Map([10, 16, 23].map((pcr) => [pcr, new Uint8Array(32).fill(9)]));
    requireReplay(replayEventLog(logOf(machine), 'sha256'), others);
  });

  test('wants a bank that the log has', () => {
    expect(refusalOf(() => replayEventLog(logOf(machine), 'sha512'))).toEqual(denied('D25', /no digests by sha512/));
  });
});

describe('an event', () => {
  const judge = (...events: MadeEvent[]) => judgeEvents(parseEventLog(encodeEventLog(events)), 'sha256');
  const authenticated = (one: MadeEvent) => judge(one).map(({ isAuthenticated }) => isAuthenticated);
  const text = (value: string) => Buffer.from(value, 'latin1');

  test.each<readonly [string, MadeEvent, boolean]>([
    ['a command of GRUB', event(8, 'EV_IPL', text('grub_cmd: boot\0'), text('boot')), true],
    ['a command of GRUB that was edited', event(8, 'EV_IPL', text('grub_cmd: beer\0'), text('boot')), false],
    ['a file that reads like a command', event(9, 'EV_IPL', text('grub_cmd: boot\0'), text('boot')), false],
    ['a command line of systemd-stub', event(12, 'EV_IPL', Buffer.from('quiet\0', 'utf16le')), true],
    ['a command line elsewhere', event(9, 'EV_IPL', Buffer.from('quiet\0', 'utf16le')), false],
    ['an action', event(4, 'EV_EFI_ACTION', text('Calling')), true],
    ['an action that was edited', event(4, 'EV_EFI_ACTION', text('Calling'), text('Falling')), false],
    ['an application', event(4, 'EV_EFI_BOOT_SERVICES_APPLICATION', text('x')), false],
    ['a boot variable that is none', event(1, 'EV_EFI_VARIABLE_BOOT', text('x')), false],
  ])('%s: authenticated data is what was measured', (_what, one, expected) => {
    expect(authenticated(one)).toEqual([expected]);
  });

  test.each<readonly [string, readonly MadeEvent[], RegExp]>([
    [
      'a separator that is called an action',
      [{ ...SEPARATOR, type: EVENT_TYPE.EV_EFI_ACTION }],
      /event 1 is called EV_EFI_ACTION, and is a separator/,
    ],
    [
      'something that is called a separator',
      [{ ...SEPARATOR, digests: event(7, 'EV_EFI_ACTION', text('x')).digests }],
      /is called a separator, and is none/,
    ],
    ['a separator with another data', [event(7, 'EV_SEPARATOR', text('x'))], /is called a separator, and is none/],
    ['a second separator', [SEPARATOR, SEPARATOR], /event 2 is the second separator of PCR 7/],
  ])('%s is refused', (_what, events, message) => {
    expect(refusalOf(() => judge(...events))).toEqual(denied('D30', message));
  });

  test('a separator may say that the firmware failed', () => {
    const [judged] = judge(event(0, 'EV_SEPARATOR', Buffer.from([1, 0, 0, 0])));
    expect([judged && isErrorSeparator(judged.event), judged && describeEvent(judged.event)]).toEqual([
      true,
      'the firmware failed',
    ]);
    expect(isErrorSeparator({ ...SEPARATOR, number: 1 })).toBe(false);
  });

  test('data that is not what its type has is shown as bytes', () => {
    const rows = Object.keys(EVENT_TYPE) as (keyof typeof EVENT_TYPE)[];
    for (const type of rows) {
      for (const data of [Buffer.alloc(0), Buffer.alloc(3, 0xff), Buffer.alloc(100, 0xff), Buffer.alloc(5_000, 0x41)]) {
        expect(describeEvent({ ...event(0, type, data), number: 1 }).length).toBeLessThanOrEqual(400);
      }
    }
    expect(describeEvent({ ...event(7, 'EV_EFI_VARIABLE_DRIVER_CONFIG', Buffer.from([1, 2])), number: 1 })).toBe(
      '0102',
    );
  });
});

describe('a UEFI variable', () => {
  const encode = (nameLength: bigint, dataLength: bigint, rest: Uint8Array) => {
    const lengths = Buffer.alloc(16);
    lengths.writeBigUInt64LE(nameLength, 0);
    lengths.writeBigUInt64LE(dataLength, 8);
    return Buffer.concat([Buffer.from('0123456789abcdef0123456789abcdef', 'hex'), lengths, rest]);
  };

  test('has a GUID, a name and data', () => {
    const { guid, name, data } = parseUefiVariable(encode(2n, 3n, Buffer.from('6400620007080a', 'hex')));
    expect([guid, name, Buffer.from(data).toString('hex')]).toEqual([
      '67452301-ab89-efcd-0123-456789abcdef',
      'db',
      '07080a',
    ]);
  });

  test.each<readonly [string, Uint8Array, RegExp]>([
    ['with a long name', encode(1_025n, 0n, Buffer.alloc(2_050)), /the name of a UEFI variable has 1025 characters/],
    ['with a name of 2^64 - 1', encode(2n ** 64n - 1n, 0n, Buffer.alloc(2)), /has 18446744073709551615 characters/],
    ['with less data than it announces', encode(0n, 2n, Buffer.alloc(1)), /announces 2 bytes of data, and 1 follow/],
    ['with more data than it announces', encode(0n, 1n, Buffer.alloc(2)), /announces 1 bytes of data, and 2 follow/],
    ['that is cut off', Buffer.alloc(15), /a UEFI variable has \d bytes left/],
  ])('%s is refused', (_what, bytes, message) => {
    expect(refusalOf(() => parseUefiVariable(bytes))).toEqual(denied('D26', message));
  });
});

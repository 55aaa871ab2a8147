import { describe, expect, test } from 'vitest';
import { EkMemory } from '../../src/plugins/tpm/ek-memory.ts';
import type { Policies } from '../../src/plugins/tpm/policies.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { TPM_HASHES } from '../../src/tpm/algorithms.ts';
import type { BootEvidence } from '../../src/tpm/boot/read-boot-facts.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import { EVENT_TYPE } from '../../src/tpm/event-log/event-types.ts';
import { imaFieldsOf } from '../../src/tpm/ima/ima-fields.ts';
import { type ImaEntry, parseImaLog } from '../../src/tpm/ima/parse-ima-log.ts';
import type { BootPolicy } from '../../src/tpm/policy/boot-policy.ts';
import { concat } from '../../src/tpm/tpm-writer.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { bootOf, eventIn, forgedOf, grubText, rebootOf, recordedLog, section } from '../tpm/boot/made-boot.ts';
import { DIRECT_KERNEL_COMMAND_LINE, recordedBoot } from '../tpm/boot/recorded-boot.ts';
import { u32 } from '../tpm/little-endian.ts';
import { digestOf, event, type MadeEvent } from '../tpm/made-event-log.ts';
import { digestField, encodeEntries, encodeEntry, extendAll, field, fileData } from '../tpm/made-ima-log.ts';
import { SECTIONS } from '../tpm/policy/judged-boots.ts';
import { readVector } from '../tpm/vectors.ts';
import { bootedTpm } from './recorded-boot.ts';
import { refusingCheck } from './refusing-check.ts';
import { type Attestation, attest } from './tpm-server-fixture.ts';

// What a node may try with its logs. Each row breaks one thing, and is refused by the number that names it.

function the<T>(value: T | undefined): T {
  return value ?? expect.unreachable('the recorded machine has it');
}

const policiesOf = (...list: readonly BootPolicy[]): Policies => ({ list, version: undefined, admitsOthers: false });

/** A node that shows a log of events beside a quote of the PCRs of `evidence`. */
function showing({ quoted, eventLog = new Uint8Array() }: BootEvidence, more: Partial<Attestation> = {}): Attestation {
  const tpm = new SoftwareTpm();
  const pcrs = quoted.get('sha256') ?? new Map<number, Uint8Array>();
  for (let index = 0; index < 16; index += 1) tpm.setPcr('sha256', index, pcrs.get(index) ?? new Uint8Array(32));
  return { tpm, logs: { event: eventLog }, config: { event_log: true }, ...more };
}

describe('of a log of events', () => {
  const log = recordedLog('shim-grub-secure-boot');
  const evidence = recordedBoot('shim-grub-secure-boot');
  const { events } = log;
  const bytes = evidence.eventLog ?? new Uint8Array();
  const isOf7 = (type: keyof typeof EVENT_TYPE) => (one: MadeEvent) => one.pcr === 7 && one.type === EVENT_TYPE[type];
  const firstOf7 = events.findIndex(isOf7('EV_EFI_VARIABLE_DRIVER_CONFIG'));
  const separatorOf7 = events.findIndex(isOf7('EV_SEPARATOR'));
  const commandLine = events.findIndex(({ data }) => Buffer.from(data).toString().startsWith('kernel_cmdline: '));
  const at = (index: number) => the(events[index]);
  const withEvent = (index: number, changes: Partial<MadeEvent>) =>
    events.with(index, { ...the(events[index]), ...changes });

  /** The log alone is forged, and the TPM has what the machine measured. */
  const forged = (changed: readonly MadeEvent[], more: Partial<Attestation> = {}) =>
    showing(forgedOf(evidence, log, changed), more);
  /** Whoever is root extended the TPM accordingly. */
  const extended = (changed: readonly MadeEvent[], more: Partial<Attestation> = {}) =>
    showing(rebootOf(log, changed), more);
  const written = (eventLog: Uint8Array) => showing({ ...evidence, eventLog });
  const secure = { policies: policiesOf({ name: 'secure', secure_boot: {} }) };
  const noAction = (text: string, ...data: number[]) =>
    eventIn(log, { pcr: 0, type: 'EV_NO_ACTION', data: concat(Buffer.from(`${text}\0`), Uint8Array.from(data)) });
  const separator = eventIn(log, { pcr: 7, type: 'EV_SEPARATOR', data: new Uint8Array(4) });
  const relabelled = withEvent(separatorOf7, { type: EVENT_TYPE.EV_EFI_ACTION });
  const another = (data: Uint8Array) => eventIn(log, { pcr: 7, type: 'EV_EFI_VARIABLE_DRIVER_CONFIG', data });
  const edited = (index: number, text: string, by: string) =>
    Buffer.from(Buffer.from(at(index).data).toString('latin1').replace(text, by), 'latin1');
  const lastData = events.at(-1)?.data.length ?? 0;
  const unannounced = new Map([...at(0).digests].filter(([bank]) => bank !== 'sha384')).set(
    'sha512',
    new Uint8Array(64),
  );
  const GLOBAL_GUID = Buffer.from('61dfe48bca93d211aa0d00e098032b8c', 'hex');
  const isOff = (data: Uint8Array) => data.with(-1, 0);
  const uki = [
    event(0, 'EV_SEPARATOR', new Uint8Array(4)),
    ...section('.linux', 'a kernel'),
    ...section('.cmdline', 'quiet ima_policy=tcb'),
    ...section('.initrd', 'an initrd'),
  ];
  const costly = '*a'.repeat(200);

  test.each<readonly [string, string, Attestation]>([
    ['D28', 'PCR 4 stripped', forged(events.filter(({ pcr }) => pcr !== 4))],
    ['D28', 'PCR 7 stripped', forged(events.filter(({ pcr }) => pcr !== 7))],
    [
      'D28',
      'events reordered',
      forged(events.with(firstOf7, the(events[firstOf7 + 1])).with(firstOf7 + 1, the(events[firstOf7]))),
    ],
    ['D28', 'a second separator that was not measured', forged([...events, separator])],
    ['D30', 'a second separator', extended([...events, separator])],
    ['D28', 'a separator relabelled, and a forged one appended', forged([...relabelled, separator])],
    ['D30', 'a separator relabelled, and another one measured', extended([...relabelled, separator])],
    [
      'D30',
      'a separator relabelled, and a forged one that is not to be extended',
      forged([...relabelled, noAction('\0\0\0')]),
    ],
    ['D31', 'the variable SecureBoot edited', forged(withEvent(firstOf7, { data: isOff(at(firstOf7).data) }), secure)],
    [
      'D31',
      'the variable SecureBoot of a wrong GUID',
      extended(
        events.with(firstOf7, {
          ...another(concat(new Uint8Array(GLOBAL_GUID.length), at(firstOf7).data.subarray(GLOBAL_GUID.length))),
          number: 0,
        }),
        secure,
      ),
    ],
    ['D31', 'the variable SecureBoot behind the separator', extended([...events, another(at(firstOf7).data)], secure)],
    [
      'D27',
      'StartupLocality twice',
      forged([noAction('StartupLocality', 0), noAction('StartupLocality', 3), ...events]),
    ],
    ['D25', 'a second Spec ID', forged([...events, noAction('Spec ID Event03')])],
    ['D25', 'an undeclared algorithm', forged([...events.slice(0, -1), { ...separator, digests: unannounced }])],
    ['D26', 'a size of 2^32 - 1', written(concat(bytes.subarray(0, -lastData - 4), u32(0xffff_ffff)))],
    ['D25', 'a count of 2^32 - 1 digests', written(concat(bytes, u32(7), u32(4), u32(0xffff_ffff)))],
    ['D26', 'trailing bytes', written(concat(bytes, new Uint8Array(3)))],
    [
      'D29',
      'the command line edited with its digest kept',
      forged(withEvent(commandLine, { data: edited(commandLine, 'console=ttyS0', 'init=/bin/sh ') }), {
        policies: policiesOf({ name: 'grub', grub_commands: ['*'] }),
      }),
    ],
    [
      'P12',
      'the command line edited to what a policy wants',
      forged(withEvent(commandLine, { data: edited(commandLine, 'console=ttyS0', 'lockdown=1   ') }), {
        policies: policiesOf({ name: 'locked', kernel_cmdline: ['* lockdown=1 *'] }),
      }),
    ],
    [
      'D34',
      'a section of a unified kernel image twice',
      showing(bootOf([...uki, ...section('.linux', 'another kernel')]), {
        policies: policiesOf({ name: 'unified', uki: { images: [{ name: 'ours', sections: SECTIONS }] } }),
      }),
    ],
    [
      'P12',
      'a command line that makes a pattern of exponential cost elsewhere',
      extended([...events, eventIn(log, grubText('kernel_cmdline', 'a'.repeat(30_000)))], {
        policies: policiesOf({ name: 'costly', kernel_cmdline: ['/vmlinuz *', `${costly}*b`] }),
      }),
    ],
  ])('%s refuses %s', async (check, _what, attestation) => {
    expect(await refusingCheck(attestation)).toBe(check);
  });
});

describe('of an IMA log', () => {
  const machine = 'direct-kernel';
  const other = 'shim-grub-secure-boot';
  const bytes = readVector(machine, 'ima-binary.bin');
  const entries = parseImaLog(bytes);
  const middle = Math.floor(entries.length / 2);
  const pcr10Of = (
    changed: readonly ImaEntry[],
    hashed: (entry: ImaEntry) => Uint8Array = ({ templateData }) => digestOf('sha256', templateData),
  ) =>
    extendAll(
      'sha256',
      changed.map((entry) => (entry.isViolation ? Buffer.alloc(32, 0xff) : hashed(entry))),
    );

  /** The log alone is forged, and the TPM has what the kernel measured. */
  const forged = (ima: Uint8Array, more: Partial<Attestation> = {}): Attestation => ({
    tpm: bootedTpm(machine, 'after'),
    logs: {
      event: readVector(machine, 'binary_bios_measurements'),
      'command line': Buffer.from(`${DIRECT_KERNEL_COMMAND_LINE}\n`),
      ima,
    },
    config: { event_log: true, ima_log: true },
    ...more,
  });
  /** The kernel measured just this. */
  const measured = (ima: Uint8Array, value: Uint8Array, more: Partial<Attestation> = {}): Attestation => {
    const tpm = bootedTpm(machine, 'after');
    tpm.setPcr('sha256', 10, value);
    return { ...forged(ima, more), tpm };
  };

  const inserted = encodeEntry({ data: fileData('/bin/evil', 'evil') });
  const toggled = ({ isViolation, templateData, ...entry }: ImaEntry): ImaEntry => ({
    ...entry,
    templateData,
    isViolation: !isViolation,
    templateDigest: isViolation ? digestOf('sha1', templateData) : new Uint8Array(20),
  });
  const violation = entries.findIndex(({ isViolation }) => isViolation);
  const padded = ({ templateDigest }: ImaEntry) =>
    concat(templateDigest, new Uint8Array(TPM_HASHES.sha256.size - templateDigest.length));

  const isSigned = (entry: ImaEntry) => (imaFieldsOf(entry)?.signature?.length ?? 0) > 0;
  const [from, to] = entries.flatMap((entry, index) => (isSigned(entry) ? [index] : []));
  const signatureOf = (index = -1) => the(imaFieldsOf(the(entries[index]))?.signature);
  const withSignature = (index = -1, signature: Uint8Array): ImaEntry => {
    const entry = the(entries[index]);
    const { algorithm, digest, name } = the(imaFieldsOf(entry));
    const templateData = concat(field(digestField(algorithm, digest)), field(`${name}\0`), field(signature));
    return { ...entry, templateData, templateDigest: digestOf('sha1', templateData) };
  };
  const moved = entries.with(to ?? -1, withSignature(to, signatureOf(from)));
  const unsigned = entries.flatMap((entry) =>
    isSigned(entry) || entry.isViolation ? [] : [imaFieldsOf(entry)?.name ?? ''],
  );
  const signed: BootPolicy = {
    name: 'signed',
    ima: {
      policies: ['tcb'],
      keys: [encodePem('CERTIFICATE', readVector(machine, 'ima_x509.der'))],
      ignore: unsigned,
      violations: 2,
    },
  };

  test('what the rows below change is admitted as it is', async () => {
    const { selectorValues } = await attest(forged(bytes, { policies: policiesOf(signed) }));
    expect(selectorValues).toContain('policy:signed');
  });

  test.each<readonly [string, string, Attestation]>([
    ['E39', 'an entry dropped', forged(encodeEntries(entries.toSpliced(middle, 1)))],
    [
      'E39',
      'an entry inserted',
      forged(concat(encodeEntries(entries.slice(0, middle)), inserted, encodeEntries(entries.slice(middle)))),
    ],
    [
      'E39',
      'entries reordered',
      forged(encodeEntries([...entries.slice(0, 4), ...entries.slice(4, 6).toReversed(), ...entries.slice(6)])),
    ],
    ['E39', 'a violation made of a file', forged(encodeEntries(entries.with(middle, toggled(the(entries[middle])))))],
    [
      'E39',
      'a file made of a violation',
      forged(encodeEntries(entries.with(violation, toggled(the(entries[violation]))))),
    ],
    ['E39', 'a signature moved in the log', forged(encodeEntries(moved))],
    [
      'E40',
      'a signature moved to another file, which the kernel measured',
      measured(encodeEntries(moved), pcr10Of(moved), { policies: policiesOf(signed) }),
    ],
    ['E39', 'padded SHA-1 claimed as SHA-256', measured(bytes, pcr10Of(entries, padded))],
    ['E38', 'boot_aggregate of another boot', forged(readVector(other, 'ima-binary.bin'))],
    [
      'E38',
      'boot_aggregate of another boot, whose PCR 10 is quoted',
      measured(readVector(other, 'ima-binary.bin'), pcr10Of(parseImaLog(readVector(other, 'ima-binary.bin')))),
    ],
    ['E39', 'a tail in the place of what was quoted', forged(concat(encodeEntries(entries.slice(0, 3)), inserted))],
    ['E39', 'a log that was shrunk', forged(encodeEntries(entries.slice(0, -1)))],
    ['E39', 'no entries', forged(new Uint8Array())],
  ])('%s refuses %s', async (check, _what, attestation) => {
    expect(await refusingCheck(attestation)).toBe(check);
  });

  test('E39: a tail beyond the quote counts for nothing, neither then nor later', async () => {
    const memory = new EkMemory();
    const attestation = forged(concat(bytes, inserted), { policies: policiesOf(signed), memory });
    const tpm = the(attestation.tpm);
    expect((await attest(attestation)).selectorValues).toContain('policy:signed');
    const { pubHash } = requireEndorsementKey(tpm.ekPublic);
    expect(await memory.recall(pubHash, tpm.clockInfo)).toMatchObject({
      ima: { entryCount: entries.length, byteCount: bytes.length },
    });
    tpm.setPcr('sha256', 10, pcr10Of(parseImaLog(Buffer.concat([bytes, inserted]))));
    expect(await refusingCheck(attestation)).toBe('E40');
  });

  test('E39 refuses a log that has lost what was quoted earlier in this boot', async () => {
    const memory = new EkMemory();
    const attestation = forged(bytes, { memory });
    await attest(attestation);
    const tpm = the(attestation.tpm);
    tpm.setPcr('sha256', 10, pcr10Of(entries.slice(0, -1)));
    expect(
      await refusingCheck({ ...attestation, logs: { ...attestation.logs, ima: encodeEntries(entries.slice(0, -1)) } }),
    ).toBe('E39');
  });
});

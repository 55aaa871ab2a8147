import { describe, expect, test } from 'vitest';
import type { BootFacts, Fact } from '../../../src/tpm/boot/boot-facts.ts';
import { isKnown } from '../../../src/tpm/boot/boot-facts.ts';
import { imaPoliciesOf, kernelParameters } from '../../../src/tpm/boot/kernel-parameters.ts';
import { type BootEvidence, readBootFacts } from '../../../src/tpm/boot/read-boot-facts.ts';
import { digestOf, event, type MadeEvent } from '../made-event-log.ts';
import { denied, refusalOf } from '../refusals.ts';
import { MACHINES } from '../vectors.ts';
import { bootOf, eventIn, grubText, rebootOf, recordedLog, section, stubLine } from './made-boot.ts';
import { DIRECT_KERNEL_COMMAND_LINE, recordedBoot } from './recorded-boot.ts';

const GRUB_LINE = '/vmlinuz console=ttyS0 ima_policy=tcb rootfstype=ramfs panic=-1';
const linesOf = ({ commandLine }: BootFacts) =>
  isKnown(commandLine) ? commandLine.lines.map(({ source, text }) => [source, text]) : commandLine.unknown;
const unknownOf = <T extends object>(fact: Fact<T>) => ('unknown' in fact ? fact.unknown : 'known');
const read = (events: readonly MadeEvent[], hint?: string) => readBootFacts(bootOf(events, hint));

describe.each(MACHINES)('the boot of %s', (machine) => {
  test.each(['sha256', 'sha384'] as const)('says the same by %s', (bank) => {
    const facts = readBootFacts(recordedBoot(machine, bank));
    const other = readBootFacts(recordedBoot(machine));
    expect(facts.secureBoot).toEqual(other.secureBoot);
    expect(linesOf(facts)).toEqual(linesOf(other));
    expect(facts.ima).toMatchObject({ violationCount: 2, isPaddedSha1: bank === 'sha384' });
  });

  test('says of what was not quoted that it was not', () => {
    const whole = recordedBoot(machine);
    const facts = readBootFacts({ ...whole, quoted: new Map([['sha256', new Map()]]), ima: undefined });
    const { firmware, secureBoot, loaders, grub, uki, commandLine, ima } = facts;
    for (const fact of [firmware, secureBoot, loaders, grub, uki, commandLine]) {
      expect(unknownOf<object>(fact)).toMatch(/^PCR \d+ is not in the quote \(check C22\)$/);
    }
    expect(unknownOf(ima)).toBe('no IMA log came with the quote');
  });

  test('is refused with an IMA log and no PCR 10 (C22)', () => {
    const whole = recordedBoot(machine);
    const quoted = new Map([...(whole.quoted.get('sha256') ?? [])].filter(([index]) => index !== 10));
    expect(refusalOf(() => readBootFacts({ ...whole, quoted: new Map([['sha256', quoted]]) }))).toEqual(
      denied('C22', /PCR 10 is not in the quote/),
    );
  });
});

describe('the command line', () => {
  const log = recordedLog('shim-grub-secure-boot');
  const grub = (...more: readonly Parameters<typeof eventIn>[1][]) =>
    readBootFacts(rebootOf(log, [...log.events, ...more.map((one) => eventIn(log, one))]));

  test('of each recorded machine is what it was started with', () => {
    expect(linesOf(readBootFacts(recordedBoot('shim-grub-secure-boot')))).toEqual([
      ['grub', GRUB_LINE],
      ['grub', GRUB_LINE],
    ]);
    expect(linesOf(readBootFacts(recordedBoot('direct-kernel')))).toEqual([['efi-stub', DIRECT_KERNEL_COMMAND_LINE]]);
  });

  test.each([undefined, '', 'quiet', `${DIRECT_KERNEL_COMMAND_LINE} `])(
    'is only a digest where the hint is %j',
    (hint) => {
      const facts = readBootFacts({ ...recordedBoot('direct-kernel'), commandLineHint: hint });
      expect(linesOf(facts)).toEqual([['efi-stub', undefined]]);
    },
  );

  test('that was used is seen, though it is called a command and a better one follows', () => {
    const evil = log.events.map((one) => {
      if (one.number === 38) return eventIn(log, grubText('kernel_cmdline', 'linux /vmlinuz init=/bin/sh'));
      return one.number === 42 ? eventIn(log, grubText('grub_cmd', '/vmlinuz init=/bin/sh')) : one;
    });
    const forged = [...evil, eventIn(log, grubText('kernel_cmdline', GRUB_LINE))];
    expect(linesOf(readBootFacts(rebootOf(log, forged)))).toEqual([
      ['grub', 'linux /vmlinuz init=/bin/sh'],
      ['grub', GRUB_LINE],
    ]);
  });

  test('that is called something else is unread', () => {
    const facts = grub({ pcr: 8, type: 'EV_EFI_ACTION', data: Buffer.from('/vmlinuz init=/bin/sh') });
    expect(facts.commandLine).toMatchObject({ unread: [{ event: { number: 48, pcr: 8, type: 'EV_EFI_ACTION' } }] });
    expect(unknownOf(facts.grub)).toMatch(/event 48 of PCR 8 has text that was not measured \(check D29\)/);
  });

  test('that is no UTF-8 is unread', () => {
    const measured = Buffer.from([0x2f, 0xff, 0xfe]);
    const data = Buffer.concat([Buffer.from('kernel_cmdline: '), measured, Buffer.of(0)]);
    expect(grub({ pcr: 8, type: 'EV_IPL', data, measured }).commandLine).toMatchObject({
      unread: [{ event: { number: 48 } }],
    });
  });

  const loadOptions = (text: string) => {
    const data = Buffer.concat([Buffer.from([0xed, 0x22, 0x3b, 0x8f, 0, 0, 0, 0])]);
    return event(9, 'EV_EVENT_TAG', data, Buffer.from(`${text}\0`, 'utf16le'));
  };
  test('of the stub counts as the first event of PCR 9 alone, and without GRUB', () => {
    const file = event(9, 'EV_IPL', Buffer.from('/initrd'), Buffer.from('a file'));
    expect(linesOf(read([loadOptions('quiet'), loadOptions('debug')], 'quiet'))).toEqual([['efi-stub', 'quiet']]);
    expect(linesOf(read([file, loadOptions('quiet')], 'quiet'))).toMatch(
      /no event of PCR 8, 9, 11 or 12 .*\(check D29\)/,
    );
    const command = event(8, 'EV_IPL', Buffer.from('grub_cmd: boot'), Buffer.from('boot'));
    expect(linesOf(read([command, loadOptions('quiet')], 'quiet'))).toMatch(/no event of PCR 8/);
  });

  test.each(['', '\0', '\n'])('in a unified image is hinted with %j behind it', (end) => {
    expect(linesOf(read([...section('.linux', 'k'), ...section('.cmdline', `quiet${end}`)], 'quiet'))).toEqual([
      ['uki', 'quiet'],
    ]);
  });

  test.each<readonly [string, MadeEvent]>([
    [
      'edited with its digest kept',
      event(12, 'EV_IPL', Buffer.from('quiet\0', 'utf16le'), Buffer.from('debug\0', 'utf16le')),
    ],
    ['without its NUL', event(12, 'EV_IPL', Buffer.from('quiet', 'utf16le'))],
    ['with a NUL inside', event(12, 'EV_IPL', Buffer.from('qu\0iet\0', 'utf16le'))],
    ['of an odd length', event(12, 'EV_IPL', Buffer.from([0x71, 0, 0]))],
    ['of half a pair', event(12, 'EV_IPL', Buffer.from([0, 0xd8, 0, 0]))],
  ])('beside a unified image %s is unread', (_what, made) => {
    expect(read([stubLine('quiet'), made]).commandLine).toMatchObject({
      lines: [{ text: 'quiet' }],
      unread: [{ event: { number: 2, pcr: 12 } }],
    });
  });
});

describe('a unified kernel image', () => {
  const sections = [
    ...section('.linux', 'k'),
    ...section('.osrel', 'o'),
    ...section('.cmdline', 'quiet'),
    ...section('.profile', 'p'),
  ];
  const at = (count: number) => sections.slice(0, count);

  test('has its sections by name', () => {
    const { uki } = read(sections);
    expect(isKnown(uki) && [...uki.sections.keys()]).toEqual(['.linux', '.osrel', '.cmdline', '.profile']);
  });

  test.each<readonly [string, readonly MadeEvent[], RegExp]>([
    [
      'a section twice',
      [...sections, ...section('.linux', 'other')],
      /event 9 of PCR 11 is the section .linux, a second time/,
    ],
    ['the last section twice', [...sections, ...section('.profile', 'p')], /event 9 of PCR 11 is the section .profile/],
    [
      'sections in another order',
      [...at(2), ...section('.cmdline', 'q'), ...section('.osrel', 'o')],
      /is the section .osrel/,
    ],
    ['a name without contents', at(5), /event 5 of PCR 11 is a section without contents/],
    ['contents without a name', sections.slice(1), /event 1 of PCR 11 is not the name of a section/],
    ['an unknown section', [...at(2), ...section('.evil', 'x')], /event 3 of PCR 11 is not the name of a section/],
    [
      'a section that is not measured',
      [...at(2), ...section('.pcrsig', 'x')],
      /event 3 of PCR 11 is not the name of a section/,
    ],
    ['no section', [], /PCR 11 has no section/],
  ])('with %s is not known (D34)', (_what, events, message) => {
    const { uki } = read(events);
    expect(unknownOf(uki)).toMatch(new RegExp(`${message.source}.*\\(check D34\\)$`));
  });

  const phased = (evidence: BootEvidence, ...words: readonly string[]): BootEvidence => {
    const pcrs = new Map(evidence.quoted.get('sha256'));
    const value = words.reduce(
      (pcr, word) => digestOf('sha256', Buffer.concat([pcr, digestOf('sha256', Buffer.from(word))])),
      pcrs.get(11) ?? new Uint8Array(),
    );
    return { ...evidence, quoted: new Map([['sha256', pcrs.set(11, value)]]) };
  };
  test.each([[['enter-initrd']], [['enter-initrd', 'leave-initrd', 'sysinit', 'ready']], [['sysinit', 'ready']]])(
    'goes on to what systemd measures: %j',
    (words) => {
      expect(readBootFacts(phased(bootOf(sections), ...words)).uki).toMatchObject({ phases: words });
    },
  );

  test.each([[['ready']], [['enter-initrd', 'evil']], [['leave-initrd', 'enter-initrd']], [['sysinit\0']]])(
    'is refused where something else was measured: %j (D28)',
    (words) => {
      expect(refusalOf(() => readBootFacts(phased(bootOf(sections), ...words)))).toEqual(denied('D28', /PCR 11 is/));
    },
  );

  test('that was never started is not followed by phases (D28)', () => {
    expect(refusalOf(() => readBootFacts(phased(bootOf([]), 'enter-initrd')))).toEqual(
      denied('D28', /has no event for it/),
    );
  });
});

describe('images of PCR 4', () => {
  const separator = event(4, 'EV_SEPARATOR', Buffer.alloc(4));
  const calling = event(4, 'EV_EFI_ACTION', Buffer.from('Calling EFI Application from Boot Option'));
  const image = Buffer.from('MZ\0image');
  const application = event(4, 'EV_EFI_BOOT_SERVICES_APPLICATION', Buffer.from('path'), image);
  const imagesOf = ({ loaders }: BootFacts) =>
    isKnown(loaders) ? loaders.images.map(({ event: { number } }) => number) : loaders.unknown;

  test.each<readonly [string, readonly MadeEvent[], readonly number[]]>([
    ['behind the action and the separator', [calling, separator, application], [3]],
    ['an application before "Calling EFI Application" is one (D33)', [application, calling, separator], [1]],
    ['that is called a driver', [{ ...application, type: 0x8000_0004 }], [1]],
    ['that is called an action', [{ ...application, type: 0x8000_0007 }], [1]],
    ['whose bytes are called the text of an action', [event(4, 'EV_EFI_ACTION', image)], [1]],
    ['that is called something unknown', [{ ...application, type: 99 }], [1]],
  ])('%s', (_what, events, numbers) => {
    expect(imagesOf(read(events))).toEqual(numbers);
  });

  test('are one at least (D33)', () => {
    expect(imagesOf(read([calling, separator]))).toMatch(/PCR 4 has no image that was started \(check D33\)$/);
  });
});

test('an error separator is told', () => {
  expect(read([event(3, 'EV_SEPARATOR', Buffer.from([1, 0, 0, 0]))]).failures).toEqual([
    { number: 1, pcr: 3, type: 'EV_SEPARATOR' },
  ]);
});

describe('the version of the firmware', () => {
  const separator = event(0, 'EV_SEPARATOR', Buffer.alloc(4));
  const version = (text: string) => event(0, 'EV_S_CRTM_VERSION', Buffer.from(`${text}\0`, 'utf16le'));
  test('is text', () => {
    expect(read([version('1.2'), separator]).firmware).toMatchObject({ version: '1.2', event: { number: 1 } });
  });
  test.each<readonly [string, readonly MadeEvent[], RegExp]>([
    ['behind the separator', [separator, version('9')], /has not one version/],
    ['without a separator', [version('9')], /has not one version/],
    ['twice', [version('1'), version('9'), separator], /has not one version/],
    ['edited with its digest kept', [{ ...version('1'), data: version('9').data }, separator], /has not one version/],
    ['of no text', [version('\u{7}'), separator], /event 1 has a version of the firmware that is no text/],
  ])('%s is not known (D29)', (_what, events, message) => {
    expect(unknownOf(read(events).firmware)).toMatch(new RegExp(`${message.source}.*\\(check D29\\)$`));
  });
});

test.each<readonly [string, readonly string[]]>([
  ['ima_policy=tcb', ['tcb']],
  [
    'quiet ima_policy=tcb|critical_data ima_policy="secure_boot | fail_securely" -- ima_policy=none',
    ['tcb', 'critical_data', 'secure_boot', 'fail_securely'],
  ],
  ['quiet init="/bin/sh ima_policy=tcb"', []],
  ['"ima_policy=tcb"', ['tcb']],
  ['xima_policy=tcb ima_policy', []],
  ['init="/bin/sh ima_policy=tcb', []],
])('of the command line %s, IMA is told %j', (line, policies) => {
  expect([...imaPoliciesOf(line)]).toEqual(policies);
});

test('a command line is taken apart as the kernel does it', () => {
  expect(kernelParameters('a=1  "b c=2" d="e f"g\th -- i')).toEqual([
    ['a', '1'],
    ['b c', '2'],
    ['d', 'e f"g'],
    ['h', ''],
  ]);
});

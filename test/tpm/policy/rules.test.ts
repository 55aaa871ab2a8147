import { describe, expect, test } from 'vitest';
import type { BootFacts } from '../../../src/tpm/boot/boot-facts.ts';
import { readBootFacts } from '../../../src/tpm/boot/read-boot-facts.ts';
import type { BootPolicy } from '../../../src/tpm/policy/boot-policy.ts';
import { explain, judge } from '../../../src/tpm/policy/judge.ts';
import type { JudgeContext } from '../../../src/tpm/policy/judge-context.ts';
import { bootOf, eventIn, grubText, rebootOf, recordedLog, section, stubLine } from '../boot/made-boot.ts';
import { DIRECT_KERNEL_COMMAND_LINE, recordedBoot } from '../boot/recorded-boot.ts';
import { digestOf, event, type MadeEvent } from '../made-event-log.ts';
import { toHex } from '../vectors.ts';

const grubLog = recordedLog('shim-grub-secure-boot');
const grub = readBootFacts(recordedBoot('shim-grub-secure-boot'));
const direct = readBootFacts(recordedBoot('direct-kernel'));
const sha256 = (text: string) => toHex(digestOf('sha256', Buffer.from(text)));
const HEX = 'ab'.repeat(32);
const KERNEL = '5f21ff2c0d5d899842b28a8b19901ba72cf7a7ab93c02a77fadc6ff72be85b31';
const LOADERS = [
  '80a66d53a945d2286fcadd780fae1c225aa732079cd67b5225dc78aaab4e2ff8',
  'a68f6d71ebddaa19751ff8d729f67d11b0df8e4c49400c3e7e90de16119e1265',
  KERNEL,
];
const DEBIAN = 'CN=Debian Secure Boot CA';
const MICROSOFT = 'sha256:48e99b991f57fc52f76149599bff0a58c47154229b9f8d603ac40d3500248507';
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** A machine like the recorded one, with something in place of one event. */
const changed = (number: number, change: (one: MadeEvent) => MadeEvent) =>
  readBootFacts(
    rebootOf(
      grubLog,
      grubLog.events.map((one) => (one.number === number ? change(one) : one)),
    ),
  );

const UKI = [
  ...section('.linux', 'a kernel'),
  ...section('.cmdline', 'quiet ima_policy=tcb'),
  ...section('.initrd', 'an initrd'),
];
const SECTIONS = {
  '.linux': sha256('a kernel'),
  '.cmdline': sha256('quiet ima_policy=tcb'),
  '.initrd': sha256('an initrd'),
};
const uki = (...more: readonly MadeEvent[]) => readBootFacts(bootOf([...UKI, ...more], 'quiet ima_policy=tcb'));
const credential = event(12, 'EV_IPL', Buffer.from('Credentials initrd'), Buffer.from('cpio'));
const extension = event(13, 'EV_IPL', Buffer.from('sysext'), Buffer.from('image'));
const failing = event(0, 'EV_SEPARATOR', Buffer.from([1, 0, 0, 0]));
const version = (text: string, ...after: readonly MadeEvent[]) =>
  readBootFacts(
    bootOf([
      event(0, 'EV_S_CRTM_VERSION', Buffer.from(`${text}\0`, 'utf16le')),
      event(0, 'EV_SEPARATOR', Buffer.alloc(4)),
      ...after,
    ]),
  );
const withoutPcr = (facts: Parameters<typeof readBootFacts>[0], index: number) => {
  const quoted = new Map([...(facts.quoted.get('sha256') ?? [])].filter(([one]) => one !== index));
  return readBootFacts({ ...facts, ima: undefined, quoted: new Map([['sha256', quoted]]) });
};
const recorded = recordedBoot('shim-grub-secure-boot');

type Rules = Omit<BootPolicy, 'name'>;
type Holding = readonly [what: string, facts: BootFacts, rules: Rules, context?: JudgeContext];
type Broken = readonly [
  rule: string,
  what: string,
  facts: BootFacts,
  rules: Rules,
  message: RegExp,
  context?: JudgeContext,
];

const HOLDING: readonly Holding[] = [
  [
    'one of two golden sets',
    grub,
    {
      pcrs: [
        { name: 'a', values: { 7: HEX } },
        { name: 'b', values: valuesOf(grub, 0, 4) },
      ],
    },
  ],
  ['golden values in upper case', grub, { pcrs: [{ name: 'a', values: upper(valuesOf(grub, 0, 4)) }] }],
  ['Secure Boot and no more', grub, { secure_boot: {} }],
  ['authorities by hash and by name', grub, { secure_boot: { authorities: [MICROSOFT, DEBIAN] } }],
  ['what dbx revokes', grub, { secure_boot: { dbx_hashes: [EMPTY.toUpperCase()], dbx_entries: 1 } }],
  ['the version of dbx', grub, { secure_boot: { dbx_versions: [HEX, dbxOf(grub).version] } }],
  ['the level of SBAT', grub, { secure_boot: { sbat_level: 2025021800 } }],
  ['no debug mode', grub, { no_debug_mode: true }],
  ['loaders', grub, { loaders: LOADERS }],
  [
    'a loader that starts before it is said to',
    direct,
    { loaders: ['e2e59e9f96cc56ce955c8cd1302c8e122383ded5f43e4b6f0d7d74fef5218001'] },
  ],
  [
    'commands of GRUB',
    grub,
    { grub_commands: ['[ *', 'source *', 'set timeout=0', 'echo *', 'linux *', '/vmlinuz *', 'initrd *', 'boot'] },
  ],
  ['files of GRUB', grub, { boot_files: filesOf(grub) }],
  [
    'the initrd of a kernel that is started alone',
    direct,
    { boot_files: ['329a7c7546420a16a48bad5ab5e6d64465ff591d14d6bc8246cfc9b0ff0a6f4d'] },
  ],
  ['a command line of GRUB', grub, { kernel_cmdline: ['quiet', '/vmlinuz console=ttyS0 *'] }],
  ['a command line of the kernel’s stub', direct, { kernel_cmdline: [DIRECT_KERNEL_COMMAND_LINE] }],
  ['a command line in a unified image', uki(), { kernel_cmdline: ['quiet *'] }],
  ['a command line beside a unified image', readBootFacts(bootOf([stubLine('quiet')])), { kernel_cmdline: ['quiet'] }],
  [
    'a unified image',
    uki(),
    {
      uki: {
        images: [
          { name: 'a', sections: { '.linux': HEX } },
          { name: 'b', sections: SECTIONS },
        ],
      },
    },
  ],
  [
    'a unified image with a credential',
    uki(credential),
    { uki: { images: [{ name: 'b', sections: SECTIONS }], extensions: [sha256('cpio')] }, kernel_cmdline: ['quiet *'] },
  ],
  ['the version of the firmware', version('1.20'), { firmware: { versions: ['1.*'], minimum: '1.9' } }],
  ['a firmware without a version', grub, { firmware: { versions: [''] } }],
  ['an age', grub, { max_boot_age: 60 }, { bootSeenSeconds: 60 }],
  ['the age of a boot that is new', grub, { max_boot_age: 60 }],
  ['a maker', grub, { ek_manufacturers: ['id:4E544300', 'id:494E5443'] }, { ekManufacturer: 'id:494e5443' }],
];

test.each(HOLDING.map(([what, facts, rules, context = {}]) => ({ what, facts, rules, context })))(
  '$what: holds',
  ({ facts, rules, context }) => {
    expect(explain({ name: 'p', ...rules }, facts, context)).toEqual([]);
    expect(judge([{ name: 'p', ...rules }], facts, context)).toMatchObject({ isMet: true, policy: 'p' });
  },
);

const BROKEN: readonly Broken[] = [
  [
    'P1',
    'a firmware that failed',
    readBootFacts(bootOf([failing])),
    {},
    /^event 1 \(PCR 0, EV_SEPARATOR\): the separator is that of a firmware that failed/,
  ],
  [
    'P2',
    'another value',
    grub,
    { pcrs: [{ name: 'a', values: { ...valuesOf(grub, 0), 7: HEX } }] },
    /PCR 7 of sha256 is 7567.*, wanted is abab/,
  ],
  [
    'P2',
    'values of two sets',
    grub,
    {
      pcrs: [
        { name: 'a', values: { ...valuesOf(grub, 0), 7: HEX } },
        { name: 'b', values: { 0: HEX, ...valuesOf(grub, 7) } },
      ],
    },
    /\(a\) or another PCR 0 \(b\)/,
  ],
  [
    'C22',
    'a PCR that was not quoted',
    withoutPcr(recorded, 9),
    { pcrs: [{ name: 'a', values: valuesOf(grub, 9) }] },
    /PCR 9 of sha256 is not in the quote/,
  ],
  ['C22', 'Secure Boot without PCR 7', withoutPcr(recorded, 7), { secure_boot: {} }, /PCR 7 is not in the quote/],
  ['C22', 'debug mode without PCR 7', withoutPcr(recorded, 7), { no_debug_mode: true }, /PCR 7 is not in the quote/],
  ['C22', 'loaders without PCR 4', withoutPcr(recorded, 4), { loaders: LOADERS }, /PCR 4 is not in the quote/],
  [
    'C22',
    'a command line without PCR 12',
    withoutPcr(recorded, 12),
    { kernel_cmdline: ['*'] },
    /PCR 12 is not in the quote/,
  ],
  [
    'C22',
    'a unified image without PCR 13',
    withoutPcr({ ...bootOf(UKI) }, 13),
    { uki: { images: [{ name: 'b', sections: SECTIONS }] } },
    /PCR 13 is not in the quote/,
  ],
  ['C22', 'GRUB without PCR 9', withoutPcr(recorded, 9), { boot_files: [HEX] }, /PCR 9 is not in the quote/],
  [
    'C22',
    'a firmware without PCR 0',
    withoutPcr(recorded, 0),
    { firmware: { minimum: '1' } },
    /PCR 0 is not in the quote/,
  ],
  [
    'C22',
    'no event log',
    readBootFacts({ ...recorded, eventLog: undefined, ima: undefined }),
    { secure_boot: {} },
    /no event log came with the quote/,
  ],
  ['C22', 'no image', direct, { uki: { images: [{ name: 'a', sections: SECTIONS }] } }, /PCR 11 has no section/],
  [
    'P3',
    'another version',
    version('1.20'),
    { firmware: { versions: ['1.2', '2*'] } },
    /^event 1 \(PCR 0, EV_S_CRTM_VERSION\): the version of the firmware is "1.20"/,
  ],
  ['P3', 'an older version', version('1.20'), { firmware: { minimum: '1.21' } }, /wanted is "1.21" or newer/],
  ['P3', 'a version of another maker', version('A-2'), { firmware: { minimum: 'B-1' } }, /is "A-2"/],
  [
    'C22',
    'a version that is measured behind the separator',
    readBootFacts(
      bootOf([event(0, 'EV_SEPARATOR', Buffer.alloc(4)), event(0, 'EV_S_CRTM_VERSION', Buffer.from('9', 'utf16le'))]),
    ),
    { firmware: { minimum: '1' } },
    /PCR 0 has not one version.*D29/,
  ],
  [
    'P4',
    'debug mode',
    debugged(),
    { no_debug_mode: true },
    /\(PCR 7, EV_EFI_ACTION\): what the firmware says of its mode is "UEFI Debug Mode"/,
  ],
  [
    'P5',
    'Secure Boot that is off',
    direct,
    { secure_boot: {} },
    /^event 4 \(PCR 7, EV_EFI_VARIABLE_DRIVER_CONFIG\): Secure Boot is off, wanted is on/,
  ],
  [
    'P5',
    'a shim that verifies nothing',
    extended7('MokSBState', Buffer.of(1)),
    { secure_boot: {} },
    /^event 48 \(PCR 7, EV_EFI_VARIABLE_AUTHORITY\): verification by shim is off/,
  ],
  [
    'P6',
    'an authority that is not listed',
    grub,
    { secure_boot: { authorities: [MICROSOFT] } },
    /^event 29 .*CN=Debian Secure Boot CA.*wanted is sha256:48e9/,
  ],
  [
    'P6',
    'an authority that was added',
    extended7('MokListRT', Buffer.from('a certificate')),
    { secure_boot: { authorities: [MICROSOFT, DEBIAN] } },
    /^event 48 .*something without a name/,
  ],
  [
    'D32',
    'a dbx that lacks a hash',
    grub,
    { secure_boot: { dbx_hashes: [EMPTY, HEX] } },
    /^event 8 .*a list of 1 entries without abab/,
  ],
  ['D32', 'a dbx of another version', grub, { secure_boot: { dbx_versions: [HEX] } }, /dbx is 6cc1/],
  ['D32', 'a dbx that is too short', grub, { secure_boot: { dbx_entries: 2 } }, /wanted is 2 or more/],
  ['P7', 'an old level of SBAT', grub, { secure_boot: { sbat_level: 2025021801 } }, /^event 27 /],
  ['P7', 'no level of SBAT', secureWithoutShim(), { secure_boot: { sbat_level: 1 } }, /is not measured/],
  [
    'P8',
    'a loader that is not listed',
    grub,
    { loaders: LOADERS.slice(0, 2) },
    /^event 40 \(PCR 4, EV_EFI_BOOT_SERVICES_APPLICATION\): an image .* is 5f21/,
  ],
  [
    'P9',
    'a command that is not listed',
    grub,
    { grub_commands: ['[ *', 'source *', 'set timeout=0'] },
    /^event 37 .*"echo proto grub"/,
  ],
  [
    'P9',
    'a command that somebody typed',
    extended8('grub_cmd', 'set root=(hd1)'),
    { grub_commands: ['[ *', 'source *', 'set timeout=*', 'echo *', 'linux *', '/vmlinuz *', 'initrd *', 'boot'] },
    /^event 48 .*set root/,
  ],
  ['P10', 'a file that is not listed', grub, { boot_files: filesOf(grub).slice(0, 2) }, /^event 44 .*initrd/],
  [
    'P10',
    'another initrd',
    changed(44, (one) => ({
      ...one,
      digests: new Map([...one.digests].map(([bank, d]) => [bank, d.map((b) => b ^ 1)])),
    })),
    { boot_files: filesOf(grub) },
    /^event 44 /,
  ],
  [
    'P11',
    'another section',
    uki(),
    { uki: { images: [{ name: 'a', sections: { ...SECTIONS, '.initrd': HEX } }] } },
    /^event 6 \(PCR 11, EV_IPL\): section .initrd/,
  ],
  [
    'P11',
    'a section that is missing',
    uki(),
    { uki: { images: [{ name: 'a', sections: { ...SECTIONS, '.uname': HEX } }] } },
    /section .uname .* is not there/,
  ],
  [
    'P11',
    'a section too many',
    uki(),
    { uki: { images: [{ name: 'a', sections: { '.linux': SECTIONS['.linux'], '.cmdline': SECTIONS['.cmdline'] } }] } },
    /section .initrd .*wanted is none/,
  ],
  [
    'D34',
    'a credential',
    uki(credential),
    { uki: { images: [{ name: 'a', sections: SECTIONS }] } },
    /^event 7 \(PCR 12, EV_IPL\): what the unified/,
  ],
  [
    'D34',
    'an extension',
    uki(extension),
    { uki: { images: [{ name: 'a', sections: SECTIONS }], extensions: [sha256('cpio')] } },
    /^event 7 \(PCR 13, EV_IPL\)/,
  ],
  [
    'P12',
    'another command line',
    grub,
    { kernel_cmdline: ['/vmlinuz', 'vmlinuz *', '/vmlinuz console=ttyS0'] },
    /^event 38 .*the command line of the kernel is "\/vmlinuz console/,
  ],
  [
    'P12',
    'a second command line',
    extended8('kernel_cmdline', '/vmlinuz init=/bin/sh'),
    { kernel_cmdline: ['/vmlinuz console=*'] },
    /^event 48 .*init=.bin.sh/,
  ],
  [
    'P12',
    'a command line that is only a digest',
    readBootFacts({ ...recordedBoot('direct-kernel'), commandLineHint: 'quiet' }),
    { kernel_cmdline: ['*'] },
    /^event 21 .*only known by its digest 0564/,
  ],
  [
    'P12',
    'a command line in a unified image that is only a digest',
    readBootFacts(bootOf(UKI)),
    { kernel_cmdline: ['*'] },
    /only known by its digest/,
  ],
  [
    'P12',
    'something that may hide another',
    uki(credential),
    { kernel_cmdline: ['*'] },
    /^event 7 .*which may be another/,
  ],
  [
    'P12',
    'a command line beside that of the image',
    uki(stubLine('single')),
    { kernel_cmdline: ['quiet *'] },
    /^event 7 .*"single"/,
  ],
  ['P15', 'an old boot', grub, { max_boot_age: 60 }, /the age of the boot is 61 s or more/, { bootSeenSeconds: 61.5 }],
  [
    'P16',
    'another maker',
    grub,
    { ek_manufacturers: ['id:494E5443'] },
    /is id:00001014/,
    { ekManufacturer: 'id:00001014' },
  ],
  [
    'P16',
    'no maker',
    grub,
    { ek_manufacturers: ['id:494E5443'] },
    /is not known: its endorsement key has no certificate/,
  ],
];

test.each(
  BROKEN.map(([rule, what, facts, rules, message, context = {}]) => ({ rule, what, facts, rules, message, context })),
)('$rule: $what does not hold', ({ rule, facts, rules, message, context }) => {
  const policy = { name: 'p', ...rules };
  const [refusal] = explain(policy, facts, context);
  expect(refusal).toMatchObject({ policy: 'p', rule, message: expect.stringMatching(message) });
  expect(refusal?.message).toMatch(new RegExp(`\\(check ${rule}\\)$`));
  expect(judge([policy], facts, context)).toMatchObject({ isMet: false, refusals: [{ rule }] });
});

describe('of several policies', () => {
  const policies = [
    { name: 'one', kernel_cmdline: ['quiet'] },
    { name: 'two', secure_boot: {} },
    { name: 'three', no_debug_mode: true },
  ];
  test('the first that holds gives its name', () => {
    expect(judge(policies, grub)).toMatchObject({ isMet: true, policy: 'two' });
    expect(judge(policies, direct)).toMatchObject({ isMet: true, policy: 'three' });
  });

  test('each that does not says why, by its first rule', () => {
    expect(judge(policies.slice(0, 2), direct)).toMatchObject({
      isMet: false,
      refusals: [
        {
          policy: 'one',
          rule: 'P12',
          event: { number: 21, pcr: 9, type: 'EV_EVENT_TAG' },
          found: expect.any(String),
          wanted: '"quiet"',
        },
        { policy: 'two', rule: 'P5', found: 'off', wanted: 'on' },
      ],
    });
  });

  test('none admits nobody', () => {
    expect(judge([], grub)).toEqual({ isMet: false, refusals: [], imaAllowedBy: [] });
  });

  test('every rule that does not hold is explained', () => {
    const broken = explain(
      { name: 'p', secure_boot: {}, loaders: [HEX], kernel_cmdline: ['quiet'], no_debug_mode: true },
      direct,
    );
    expect(broken.map(({ rule }) => rule)).toEqual(['P5', 'P8', 'P12']);
  });
});

function valuesOf({ pcrs }: BootFacts, ...indices: readonly number[]): Readonly<Record<string, string>> {
  return Object.fromEntries(indices.map((index) => [index, toHex(pcrs.get(index) ?? new Uint8Array())]));
}

function upper(values: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(values).map(([index, value]) => [index, value.toUpperCase()]));
}

function dbxOf({ secureBoot }: BootFacts) {
  if ('unknown' in secureBoot) throw new RangeError(secureBoot.unknown);
  return secureBoot.dbx;
}

function filesOf({ grub: found }: BootFacts): readonly string[] {
  if ('unknown' in found) throw new RangeError(found.unknown);
  return found.files.map(({ digest }) => digest);
}

function extended7(name: string, data: Uint8Array): BootFacts {
  const shim = Buffer.from('50ab5d6046e00043abb63dd810dd8b23', 'hex');
  const lengths = Buffer.alloc(16);
  lengths.writeBigUInt64LE(BigInt(name.length), 0);
  lengths.writeBigUInt64LE(BigInt(data.length), 8);
  const variable = Buffer.concat([shim, lengths, Buffer.from(name, 'utf16le'), data]);
  const more = eventIn(grubLog, { pcr: 7, type: 'EV_EFI_VARIABLE_AUTHORITY', data: variable });
  return readBootFacts(rebootOf(grubLog, [...grubLog.events, more]));
}

function extended8(prefix: 'grub_cmd' | 'kernel_cmdline', text: string): BootFacts {
  return readBootFacts(rebootOf(grubLog, [...grubLog.events, eventIn(grubLog, grubText(prefix, text))]));
}

function debugged(): BootFacts {
  const debug = eventIn(grubLog, { pcr: 7, type: 'EV_EFI_ACTION', data: Buffer.from('UEFI Debug Mode') });
  return readBootFacts(rebootOf(grubLog, [debug, ...grubLog.events]));
}

/** Up to what the firmware itself verified. */
function secureWithoutShim(): BootFacts {
  return readBootFacts(
    rebootOf(
      grubLog,
      grubLog.events.filter(({ number }) => number <= 24),
    ),
  );
}

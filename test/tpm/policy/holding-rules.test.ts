import { describe, expect, test } from 'vitest';
import { readBootFacts } from '../../../src/tpm/boot/read-boot-facts.ts';
import { explain, judge } from '../../../src/tpm/policy/judge.ts';
import { bootOf, stubLine } from '../boot/made-boot.ts';
import { DIRECT_KERNEL_COMMAND_LINE } from '../boot/recorded-boot.ts';

import {
  credential,
  DEBIAN,
  dbxOf,
  direct,
  EMPTY,
  filesOf,
  grub,
  HEX,
  type Holding,
  LOADERS,
  MICROSOFT,
  SECTIONS,
  sha256,
  uki,
  upper,
  valuesOf,
  version,
} from './judged-boots.ts';

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

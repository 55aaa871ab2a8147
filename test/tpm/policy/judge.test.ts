import { describe, expect, test } from 'vitest';
import { readBootFacts } from '../../../src/tpm/boot/read-boot-facts.ts';
import type { BootPolicy } from '../../../src/tpm/policy/boot-policy.ts';
import { bootSelectors } from '../../../src/tpm/policy/boot-selectors.ts';
import { judge } from '../../../src/tpm/policy/judge.ts';
import { recordedBoot } from '../boot/recorded-boot.ts';
import { readPcrVector, toHex } from '../vectors.ts';

const MICROSOFT = '48e99b991f57fc52f76149599bff0a58c47154229b9f8d603ac40d3500248507';
const grub = readBootFacts(recordedBoot('shim-grub-secure-boot'));
const direct = readBootFacts(recordedBoot('direct-kernel'));
const pcr7 = toHex(readPcrVector('shim-grub-secure-boot', 'sha256', 7));

describe('a policy', () => {
  test.each<readonly [string, Omit<BootPolicy, 'name'>]>([
    ['of golden values', { pcrs: [{ name: 'then', values: { 7: pcr7 } }] }],
    ['of Secure Boot', { secure_boot: { authorities: [`sha256:${MICROSOFT}`, 'CN=Debian Secure Boot CA'] } }],
    ['of a command line', { kernel_cmdline: ['/vmlinuz * ima_policy=tcb rootfstype=ramfs *'] }],
  ])('%s holds for the machine it is of, and for no other', (_what, rules) => {
    const policies = [{ name: 'web', ...rules }];
    expect(judge(policies, grub)).toMatchObject({ isMet: true, policy: 'web' });
    expect(judge(policies, direct)).toMatchObject({ isMet: false });
  });
});

test('a machine gets the selectors of what it booted', () => {
  expect(bootSelectors(grub, judge([], grub))).toEqual([
    'secure_boot:enabled',
    `secure_boot:authority:${MICROSOFT}`,
    'secure_boot:authority:CN=Microsoft Corporation UEFI CA 2011,O=Microsoft Corporation,L=Redmond,ST=Washington,C=US',
    expect.stringMatching(/^secure_boot:authority:[0-9a-f]{64}$/),
    'secure_boot:authority:CN=Debian Secure Boot CA',
    expect.stringMatching(/^dbx:version:[0-9a-f]{64}$/),
    ...Array.from({ length: 3 }, () => expect.stringMatching(/^boot:loader:sha256:[0-9a-f]{64}$/)),
    expect.stringMatching(/^kernel:cmdline:sha256:[0-9a-f]{64}$/),
    'ima:policy:tcb',
  ]);
  expect(bootSelectors(direct, { isMet: true, policy: 'lab', isImaJudged: false, imaAllowedBy: [] })).toEqual([
    'secure_boot:disabled',
    expect.stringMatching(/^dbx:version:/),
    expect.stringMatching(/^boot:loader:sha256:/),
    expect.stringMatching(/^kernel:cmdline:sha256:/),
    'ima:policy:tcb',
    'policy:lab',
  ]);
});

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { bootPolicyConfig } from '../../../src/config/boot-policy.ts';
import { readConfigValue } from '../../../src/config/read-config.ts';
import { readBootFacts } from '../../../src/tpm/boot/read-boot-facts.ts';
import { checkPolicies } from '../../../src/tpm/policy/check-policies.ts';
import { explain, judge } from '../../../src/tpm/policy/judge.ts';
import { learn } from '../../../src/tpm/policy/learn.ts';
import { pcrsRead } from '../../../src/tpm/policy/pcrs-read.ts';
import { policyDigest } from '../../../src/tpm/policy/policy-digest.ts';
import { bootOf, section, stubLine } from '../boot/made-boot.ts';
import { recordedBoot } from '../boot/recorded-boot.ts';
import { event } from '../made-event-log.ts';
import { MACHINES } from '../vectors.ts';

const machines = MACHINES.map((machine) => readBootFacts(recordedBoot(machine)));
const [direct, grub] = machines;
if (direct === undefined || grub === undefined) throw new RangeError('two machines are recorded');
const image = (...more: readonly ReturnType<typeof event>[]) =>
  readBootFacts(bootOf([...section('.linux', 'k'), ...section('.cmdline', 'quiet'), ...more], 'quiet'));
const credential = event(12, 'EV_IPL', Buffer.from('Credentials initrd'), Buffer.from('cpio'));

describe('what is learned', () => {
  test.each([
    ['of one machine', [grub]],
    ['of the other', [direct]],
    ['of both', [direct, grub]],
    ['of a unified image', [image()]],
    ['of two, one with a credential', [image(), image(credential)]],
    ['of one that was told its command line', [image(stubLine('debug'))]],
  ])('%s is a policy that each of them meets, as a file has it', (_what, facts) => {
    const policy = learn(facts, { name: 'learned', pcrs: [0, 7] });
    const read = readConfigValue(bootPolicyConfig, JSON.parse(JSON.stringify(policy)), { source: 'draft' });
    expect(read).toEqual(policy);
    for (const one of facts) expect(explain(policy, one)).toEqual([]);
    expect(policyDigest(read)).toBe(policyDigest(policy));
  });

  test('of one machine is met by no other', () => {
    expect(judge([learn([grub], { name: 'p' })], direct)).toMatchObject({ isMet: false });
    expect(judge([learn([direct], { name: 'p' })], grub)).toMatchObject({ isMet: false });
  });

  test('says everything that all machines prove', () => {
    expect(Object.keys(learn([grub], { name: 'p', pcrs: [7] }))).toEqual([
      'name',
      'pcrs',
      'firmware',
      'secure_boot',
      'no_debug_mode',
      'loaders',
      'grub_commands',
      'boot_files',
      'kernel_cmdline',
      'ima',
    ]);
    expect(Object.keys(learn([direct, image()], { name: 'p' }))).toEqual(['name', 'boot_files', 'kernel_cmdline']);
    expect(learn([], { name: 'p' })).toEqual({ name: 'p' });
  });

  test('leaves out a command line that is only known by its digest', () => {
    const unknown = readBootFacts({ ...recordedBoot('direct-kernel'), commandLineHint: undefined });
    expect(learn([unknown], { name: 'p' })).not.toHaveProperty('kernel_cmdline');
    expect(learn([unknown], { name: 'p' })).not.toHaveProperty('ima');
  });
});

test('a policy reads the PCRs of its rules', () => {
  expect(pcrsRead(learn([grub], { name: 'p', pcrs: [14] }))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14]);
  expect(pcrsRead({ name: 'p', firmware: { minimum: '1' }, loaders: [] })).toEqual([0, 4]);
  expect(pcrsRead({ name: 'p', no_debug_mode: true, grub_commands: [] })).toEqual([7, 8, 9]);
  expect(pcrsRead({ name: 'p', secure_boot: {}, boot_files: [] })).toEqual([7, 8, 9]);
  expect(pcrsRead({ name: 'p', uki: { images: [] } })).toEqual([11, 12, 13]);
  expect(pcrsRead({ name: 'p', kernel_cmdline: ['*'] })).toEqual([8, 9, 11, 12]);
  expect(pcrsRead({ name: 'p', max_boot_age: 1, no_debug_mode: false })).toEqual([]);
});

test('a policy is named by what it says, whatever the order', () => {
  const digest = policyDigest({ name: 'p', loaders: ['a'], kernel_cmdline: ['b'] });
  expect(policyDigest({ kernel_cmdline: ['b'], name: 'p', loaders: ['a'], uki: undefined })).toBe(digest);
  expect(policyDigest({ name: 'p', loaders: ['a'], kernel_cmdline: ['c'] })).not.toBe(digest);
});

const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString();
test.each([
  ['no PEM', 'key', /the policy p: a key for IMA is neither a certificate nor a public key in PEM/],
  [
    'an EC key on another curve',
    pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey),
    /has to be RSA of 2048 bits or more, or on P-256, P-384 or P-521; this is ec secp256k1/,
  ],
  ['a short RSA key', pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey), /this is rsa of 1024 bits/],
])('%s is refused as a key for IMA when a policy is read', (_what, key, message) => {
  expect(() => checkPolicies([{ name: 'p', ima: { policies: ['tcb'], keys: [key] } }])).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
  );
});

test('a policy without such keys is fine', () => {
  checkPolicies([
    { name: 'p', loaders: ['a'] },
    {
      name: 'q',
      ima: { policies: ['tcb'], keys: [pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey)] },
    },
  ]);
});

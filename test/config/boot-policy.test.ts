import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { bootPolicies, otherwise, readBootPolicyFile } from '../../src/config/boot-policy.ts';
import { readConfigText } from '../../src/config/read-config.ts';
import type { BootPolicy } from '../../src/tpm/policy/boot-policy.ts';

const HEX = 'ab'.repeat(32);
const WHOLE = {
  name: 'web-1.0_a',
  pcrs: [{ name: 'golden', values: { '0': HEX, '14': HEX.toUpperCase() } }],
  firmware: { versions: ['1.*'], minimum: '1.2' },
  secure_boot: { authorities: ['CN=x'], dbx_hashes: [HEX], dbx_versions: [HEX], dbx_entries: 3, sbat_level: 1 },
  no_debug_mode: true,
  loaders: [HEX],
  grub_commands: ['*'],
  boot_files: [HEX],
  uki: { images: [{ name: 'a', sections: { '.linux': HEX } }], extensions: [HEX] },
  kernel_cmdline: ['quiet *'],
  ima: {
    policies: ['tcb'],
    allow: [{ path: '/*', digests: [`sha256:${HEX}`, `verity:sha256:${HEX}`] }],
    keys: ['PEM'],
    ignore: ['/var/*'],
    violations: 0,
    allow_padded_sha1: true,
  },
  max_boot_age: '720h',
  ek_manufacturers: ['id:494E5443'],
};
const file = (policy: object, more: object = {}) => JSON.stringify({ version: 1, policies: [policy], ...more });
const read = (text: string) => readBootPolicyFile(text, 'policy.json');

describe('a policy file', () => {
  test('has every rule', () => {
    const { version, policies, otherwise: other } = read(file(WHOLE));
    const typed: readonly BootPolicy[] = policies;
    expect([version, other, typed]).toEqual([1, 'refuse', [{ ...WHOLE, max_boot_age: 2_592_000 }]]);
  });

  test.each<readonly [string, string, RegExp]>([
    ['that is no JSON', 'version: 1', /^policy.json: is not JSON$/],
    ['without a version', JSON.stringify({ policies: [WHOLE] }), /policy.json: version: /],
    ['of version 0', file(WHOLE, { version: 0 }), /version: must be 1 or more/],
    ['without a policy', JSON.stringify({ version: 1, policies: [] }), /policies: must have a policy at least/],
    [
      'with an unknown key',
      file({ ...WHOLE, kernel_cmdlin: ['x'] }),
      /policies\[0\].kernel_cmdlin: is not a known key, did you mean "kernel_cmdline"\?/,
    ],
    ['with a name twice', JSON.stringify({ version: 1, policies: [WHOLE, WHOLE] }), /must have a name each/],
    ['with a policy without a rule', file({ name: 'all' }), /policies\[0\]: has no rule: every machine would meet it/],
    ['with a name of no selector', file({ ...WHOLE, name: 'a b' }), /name: must be 1 to 64 letters/],
    ['with PCR 16', file({ ...WHOLE, pcrs: [{ name: 'a', values: { '16': HEX } }] }), /must not be 16 or 23/],
    ['with PCR 24', file({ ...WHOLE, pcrs: [{ name: 'a', values: { '24': HEX } }] }), /must be the number of a PCR/],
    ['with an empty golden set', file({ ...WHOLE, pcrs: [{ name: 'a', values: {} }] }), /must have a value at least/],
    ['with an empty list', file({ ...WHOLE, loaders: [] }), /loaders: must not be empty: leave it out/],
    ['with a SHA-1', file({ ...WHOLE, loaders: [HEX.slice(0, 40)] }), /must be a digest of the PCR bank/],
    [
      'with a pattern of 5000 characters',
      file({ ...WHOLE, kernel_cmdline: ['x'.repeat(5_000)] }),
      /must have 4096 characters at most/,
    ],
    [
      'with 1001 patterns',
      file({ ...WHOLE, kernel_cmdline: Array.from({ length: 1_001 }, () => 'x') }),
      /must have 1000 entries at most/,
    ],
    ['with IMA and no file', file({ ...WHOLE, ima: { policies: ['tcb'] } }), /needs "allow", "keys" or both/],
    ['with IMA and no policy', file({ ...WHOLE, ima: { allow: [] } }), /ima.policies/],
    [
      'with a digest without its hash',
      file({ ...WHOLE, ima: { ...WHOLE.ima, allow: [{ path: '/a', digests: [HEX] }] } }),
      /such as "sha256:3b…"/,
    ],
    ['with a firmware of nothing', file({ ...WHOLE, firmware: {} }), /needs "versions" or "minimum"/],
    ['with another maker', file({ ...WHOLE, ek_manufacturers: ['Intel'] }), /such as "id:494E5443"/],
    ['with an age of no unit', file({ ...WHOLE, max_boot_age: '30' }), /max_boot_age: must be a number and a unit/],
    [
      'that says something else of others',
      file(WHOLE, { otherwise: 'admit' }),
      /must be one of "refuse", "admit_with_fewer_selectors"/,
    ],
  ])('%s is refused', (_what, text, message) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
    );
  });
});

test('policies are written in HCL as well, in order', () => {
  const schema = z.strictObject({ policies: bootPolicies, otherwise });
  const text = `
    policies = [
      {
        name           = "web"
        kernel_cmdline = ["/vmlinuz * ima_policy=tcb"]
        secure_boot    = { authorities = ["CN=Debian Secure Boot CA"] }
      },
      { name = "lab", pcrs = [{ name = "then", values = { "7" = "${HEX}" } }], max_boot_age = "24h" },
    ]
    otherwise = "admit_with_fewer_selectors"`;
  expect(readConfigText(schema, text, { source: 'plugin_data' })).toEqual({
    policies: [
      {
        name: 'web',
        kernel_cmdline: ['/vmlinuz * ima_policy=tcb'],
        secure_boot: { authorities: ['CN=Debian Secure Boot CA'] },
      },
      { name: 'lab', pcrs: [{ name: 'then', values: { '7': HEX } }], max_boot_age: 86_400 },
    ],
    otherwise: 'admit_with_fewer_selectors',
  });
});

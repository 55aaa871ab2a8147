import { writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { pkcs11Config } from '../../../src/plugins/pkcs11/config.ts';
import { pkcs11Manifest } from '../../../src/plugins/pkcs11/manifest.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';

const GOOD = { module_path: '/usr/lib/softhsm/libsofthsm2.so', token_label: 'ca', pin_path: '/etc/assayer/pin' };

test('has four sessions by default', () => {
  expect(pkcs11Config.parse(GOOD).max_sessions).toBe(4);
});

test.each([
  ['no module', { module_path: undefined }, /must be the path of a PKCS#11 module/],
  ['a relative module', { module_path: 'libsofthsm2.so' }, /must be the absolute path/],
  ['no token', { token_label: undefined }, /needs .*token_label.* or both/],
  ['no PIN', { pin_path: undefined }, /needs either .*pin_path.* or .*pin_env/],
  ['two PINs', { pin_env: 'PIN' }, /needs either .*pin_path.* or .*pin_env/],
  ['the PIN itself', { pin: '1234' }, /pin/],
  ['a variable that is none', { pin_path: undefined, pin_env: '1234' }, /must be the name of an environment variable/],
  ['no sessions', { max_sessions: 0 }, /must be a number from 1 to 64/],
  ['too many sessions', { max_sessions: 65 }, /must be a number from 1 to 64/],
  ['half a session', { max_sessions: 1.5 }, /must be a number from 1 to 64/],
  ['an identifier with a colon', { key_identifier_value: 'a:b' }, /must be 1 to 128 letters, digits/],
  ['an empty identifier', { key_identifier_value: '' }, /must be 1 to 128 letters, digits/],
  ['two identifiers', { key_identifier_value: 'a', key_identifier_file: '/b' }, /not both/],
])('%s is refused', (_what, change, message) => {
  expect(() => pkcs11Config.parse({ ...GOOD, ...change })).toThrow(message);
});

describe('the sandbox', () => {
  test('of SoftHSM has its tokens, its configuration, the PIN and nothing else', async () => {
    await using folder = await createTemporaryFolder();
    const configuration = folder.join('softhsm2.conf');
    await writeFile(configuration, `directories.tokendir = ${folder.join('tokens')}\nobjectstore.backend = file\n`);
    process.env.SOFTHSM2_CONF = configuration;
    try {
      expect(pkcs11Manifest('module_path = "/opt/hsm/libsofthsm2.so"\npin_path = "/etc/assayer/pin"')).toEqual({
        ...{ user: 'host', network: 'none', variables: ['SOFTHSM2_CONF'], memoryBytes: expect.any(Number) },
        readable: ['/opt/hsm', '/etc/assayer/pin', configuration],
        writable: [expect.stringMatching(/assayer/), folder.join('tokens')],
      });
    } finally {
      delete process.env.SOFTHSM2_CONF;
    }
  });

  test('of tpm2-pkcs11 has its store and the way to its TPM', () => {
    Object.assign(process.env, { TPM2_PKCS11_STORE: '/var/lib/store', TPM2_PKCS11_TCTI: 'swtpm:path=/run/swtpm/tpm' });
    try {
      const manifest = pkcs11Manifest('module_path = "/usr/lib/libtpm2_pkcs11.so.1"\npin_env = "PIN"');
      expect(manifest?.writable).toContain('/var/lib/store');
      expect(manifest?.readable).toContain('/run/swtpm');
      expect(manifest?.variables).toEqual(expect.arrayContaining(['PIN', 'TPM2_PKCS11_STORE', 'TPM2_PKCS11_TCTI']));
    } finally {
      delete process.env.TPM2_PKCS11_STORE;
      delete process.env.TPM2_PKCS11_TCTI;
    }
  });

  test('of a module of which nothing is known is that of a plugin of which nothing is known', () => {
    expect(pkcs11Manifest('module_path = "/opt/vendor/libhsm.so"\npin_env = "PIN"')).toBeUndefined();
  });
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runCli } from './run-cli.ts';

const vector = (name: string, machine = 'direct-kernel') =>
  join(import.meta.dirname, '..', 'vectors', 'tpm', machine, name);
const LOG = vector('ima-binary.bin');
const ima = (...args: string[]) => runCli(['tpm', 'ima', ...args]);

describe('tpm ima', () => {
  test('shows each file, and how much of that the TPM has', async () => {
    const { code, stdout, stderr } = await ima(LOG, '-pcrs', vector('pcrs-before.txt'), '-allowPaddedSha1');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^0 +ima-sig +sha256:d914bf\w+ +boot_aggregate$/m);
    expect(stdout).toMatch(/^\d+ +ima-sig +signed +sha256:\w+ +\/\S+$/m);
    expect(stdout).toMatch(/^sha256: the TPM has the first 18 of 56 entries, 2 of them violations$/m);
    expect(stdout).toMatch(/^sha384: the TPM has the first 18 of 56 entries, .*, by SHA-1 filled up with zeros$/m);
  });

  test('does not take SHA-1 for another bank unless it is told to', async () => {
    const { code, stderr } = await ima(LOG, '-pcrs', vector('pcrs-before.txt'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error: the IMA log has 1 problem$/m);
    expect(stderr).toMatch(
      /^Error: PCR 10 is 34698c\w+ in bank sha384, which no part of the IMA log .*\(check E39\)$/m,
    );
  });

  test('tells that a log is of another boot', async () => {
    const { code, stderr } = await ima(LOG, '-pcrs', vector('pcrs-before.txt', 'shim-grub-secure-boot'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/the IMA log is of another boot \(check E38\)/);
  });

  test('as JSON, without a TPM to compare with', async () => {
    const { code, stdout } = await ima('-output', 'json', LOG);
    expect(code).toBe(0);
    const { entries, banks, problems } = JSON.parse(stdout);
    expect([entries.length, banks, problems]).toEqual([56, {}, []]);
    expect(entries[1]).toMatchObject({
      number: 1,
      template: 'ima-sig',
      name: '/init',
      algorithm: 'sha256',
      violation: false,
    });
  });

  test.each<readonly [string, readonly string[], RegExp]>([
    ['no file', [], /give one file/],
    ['a file that is none', [vector('pcrs-before.txt')], /the IMA log has .* bytes|template name of/],
    ['a file that is not there', ['/nowhere'], /"\/nowhere" cannot be read: ENOENT/],
  ])('refuses %s', async (_what, args, message) => {
    const { code, stdout, stderr } = await ima(...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test('wants the value of PCR 10', async () => {
    const text = readFileSync(vector('pcrs-before.txt'), 'utf8').replace(/^sha1 10 .*\n/m, '');
    const { code, stderr } = await runCli(['tpm', 'ima', LOG, '-pcrs', '-', '-allowPaddedSha1'], { input: text });
    expect(code).toBe(1);
    expect(stderr).toMatch(/the PCR file has no value of PCR 10 in bank sha1/);
  });
});

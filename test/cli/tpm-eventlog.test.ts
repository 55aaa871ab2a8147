import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { runCli } from './run-cli.ts';

const vector = (machine: string, name: string) => join(import.meta.dirname, '..', 'vectors', 'tpm', machine, name);
const LOG = vector('shim-grub-secure-boot', 'binary_bios_measurements');
const PCRS = vector('shim-grub-secure-boot', 'pcrs-before.txt');
const eventlog = (...args: string[]) => runCli(['tpm', 'eventlog', ...args]);

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** The PCR file with a change. */
function pcrFile(name: string, change: (text: string) => string): string {
  const path = folder.join(name);
  writeFileSync(path, change(readFileSync(PCRS, 'utf8')));
  return path;
}

describe('tpm eventlog', () => {
  test('shows each event, and that the TPM has just that', async () => {
    const { code, stdout, stderr } = await eventlog(LOG, '-pcrs', PCRS);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^4 +7 +EV_EFI_VARIABLE_DRIVER_CONFIG +authenticated +8be4df61-\S+ SecureBoot = 01$/m);
    expect(stdout).toMatch(/^30 +4 +EV_EFI_BOOT_SERVICES_APPLICATION +hint +\\EFI\\BOOT\\grubx64.efi, an image/m);
    expect(stdout.match(/^sha\d+: as the TPM has it$/gm)).toHaveLength(3);
    expect(stdout).toMatch(/^Secure Boot: on, with 2 entries in db and 1 entry in dbx$/m);
    expect(stdout).toMatch(/^ {2}verified by MokListRT of shim: CN=Debian Secure Boot CA$/m);
  });

  test('as JSON, without a TPM to compare with', async () => {
    const { code, stdout } = await eventlog('-output', 'json', LOG);
    const printed = JSON.parse(stdout);
    expect(code).toBe(0);
    expect(printed).toMatchObject({ banks: ['sha1', 'sha256', 'sha384'], matching: [], problems: [] });
    expect(printed.events).toHaveLength(47);
    expect(printed.events[3]).toMatchObject({ number: 4, pcr: 7, data: 'authenticated' });
    expect(printed.pcrs.sha256[7]).toBe('75677db6f14082d3bfec4d14bdd75c8d72612ef6914ca99cd5a5997b7a21309d');
  });

  test('tells which PCR of which machine it does not give', async () => {
    const { code, stdout, stderr } = await eventlog(LOG, '-pcrs', vector('direct-kernel', 'pcrs-before.txt'));
    expect(code).toBe(1);
    expect(stdout).not.toContain('as the TPM has it');
    expect(stderr).toMatch(/^Error: the event log has 3 problems$/m);
    expect(stderr).toMatch(
      /^Error: PCR 0 is [0-9a-f]{64}, but the event log gives [0-9a-f]{64} by 4 events \(check D28\)$/m,
    );
  });

  test.each<readonly [string, (text: string) => string, RegExp]>([
    ['a PCR is missing', (text) => text.replace(/^sha256 7 .*\n/m, ''), /no value of PCR 7 in bank sha256/],
    [
      'a PCR is there twice',
      (text) => `${text}sha1 4 ${'0'.repeat(40)}\n`,
      /line \d+ of the PCR file: PCR 4 of bank sha1 is there a second time/,
    ],
    ['there is no such bank', (text) => `md5 4 00\n${text}`, /line 1 of the PCR file: it does not begin with a bank/],
    [
      'there is no such PCR',
      (text) => `sha1 24 ${'0'.repeat(40)}\n${text}`,
      /line 1 of the PCR file: its second word is no PCR/,
    ],
    [
      'a value is too short',
      (text) => `sha1 4 00\n${text}`,
      /line 1 of the PCR file: it does not end with 40 hexadecimal digits/,
    ],
    ['it is empty', () => '\n', /the PCR file is empty/],
    [
      'a bank is not in the log',
      (text) => text.replaceAll('sha384', 'sha512').replace(/^(sha512 \d+ \S+)$/gm, `$1${'0'.repeat(32)}`),
      /the event log has no digests by sha512/,
    ],
  ])('refuses a PCR file where %s', async (what, change, message) => {
    const { code, stderr } = await eventlog(LOG, '-pcrs', pcrFile(what, change));
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  test.each<readonly [string, () => readonly string[], RegExp]>([
    ['no file', () => [], /give one file/],
    ['two files', () => [LOG, LOG], /give one file/],
    ['a file that is not there', () => ['/nowhere'], /"\/nowhere" cannot be read: ENOENT/],
    ['a file that is none', () => [PCRS], /the event log has \d+ bytes left|does not begin with a Spec ID event/],
    ['an endless file', () => ['/dev/zero'], /"\/dev\/zero" has more than 4194304 bytes/],
  ])('refuses %s', async (_what, args, message) => {
    const { code, stdout, stderr } = await eventlog(...args());
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
  });
});

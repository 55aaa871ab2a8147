import { writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { devidAgentConfig } from '../../src/plugins/tpm-devid/agent-config.ts';
import { findTcti } from '../../src/plugins/tpm-devid/find-tpm.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../src/testing/temporary-folder.ts';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

const PATHS = { devid_cert_path: '/c', devid_priv_path: '/r', devid_pub_path: '/u' };

describe('the TPM of the agent’s half', () => {
  const inFolder = async (name: string, ...devices: readonly string[]) => {
    await mkdir(folder.join(name));
    for (const device of devices) writeFileSync(join(folder.join(name), device), '');
    return folder.join(name);
  };
  test.each([
    ['the one behind the resource manager', ['tpm0', 'tpmrm0', 'tpmx'], 'tpmrm0'],
    ['the only one', ['tpm3', 'null'], 'tpm3'],
  ])('is %s', async (what, devices, expected) => {
    const path = await inFolder(what, ...devices);
    expect(findTcti({}, path)).toBe(`device:${join(path, expected)}`);
  });

  test.each([
    [
      'more than one',
      ['tpmrm0', 'tpmrm1'],
      /more than one TPM, tpmrm0 and tpmrm1 in .*: choose one with "tpm_device_path"/,
    ],
    ['none', ['null'], /there is no TPM in /],
  ])('is asked for where there is %s', async (what, devices, message) => {
    const path = await inFolder(what, ...devices);
    expect(() => findTcti({}, path)).toThrow(message);
  });

  test('has passwords that it can take', () => {
    const long = devidAgentConfig.safeParse({ ...PATHS, devid_password: 'x'.repeat(65) });
    expect(long.error?.issues[0]).toMatchObject({
      path: ['devid_password'],
      message: 'has more than 64 bytes, which no TPM takes',
    });
  });

  test('is named once', () => {
    expect(findTcti({ tcti: 'tabrmd' })).toBe('tabrmd');
    const both = devidAgentConfig.safeParse({ ...PATHS, tcti: 'tabrmd', tpm_device_path: '/dev/tpm0' });
    expect(both.error?.issues[0]?.message).toContain('give one of them');
  });
});

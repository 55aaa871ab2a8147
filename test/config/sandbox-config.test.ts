import { describe, expect, test } from 'vitest';
import { readConfigText } from '../../src/config/read-config.ts';
import { sandboxConfig } from '../../src/config/sandbox-config.ts';

const read = (text: string) => readConfigText(sandboxConfig, text, { source: 'test.conf' });

describe('sandbox { … }', () => {
  test('takes every key', () => {
    const text = `
      manifest = false  required = true  user = "own"  readable = ["/a"]  writable = ["/b"]  devices = ["/dev/tpmrm0"]  network = "unix"
      memory = "256MiB"  processes = 64  files = 128  cpu_weight = 10  capabilities = ["CAP_SYS_PTRACE", "kill"]  env = ["HTTP_PROXY"]`;
    expect(read(text)).toEqual({
      enabled: true,
      manifest: false,
      required: true,
      user: 'own',
      readable: ['/a'],
      writable: ['/b'],
      devices: ['/dev/tpmrm0'],
      network: 'unix',
      memoryBytes: 256 * 1024 * 1024,
      processes: 64,
      files: 128,
      cpuWeight: 10,
      capabilities: ['SYS_PTRACE', 'KILL'],
      env: ['HTTP_PROXY'],
    });
  });

  test.each([
    ['network = "some"', /network: must be one of "none", "unix", "all"/],
    ['user = "root"', /user: must be one of "own", "host"/],
    ['readable = ["relative"]', /readable\[0\]: must be an absolute path/],
    ['memory = "lots"', /memory: must be a size in quotes, such as "256MiB"/],
    ['memory = 4096', /memory: must be a size in quotes/],
    ['cpu_weight = 200', /cpu_weight: must be from 1 to 100/],
    ['processes = 1', /processes: must be 8 or more/],
    ['capabilities = ["CAP_ALL"]', /capabilities\[0\]: must be a capability of Linux/],
    ['env = ["A=B"]', /env\[0\]: must be the name of an environment variable/],
    ['netwrok = "none"', /netwrok: is not a known key, did you mean "network"\?/],
  ])('refuses %s', (text, message) => {
    expect(() => read(text)).toThrow(message);
  });
});

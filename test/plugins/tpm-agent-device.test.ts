import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Swtpm, startSwtpm } from '../../src/testing/swtpm.ts';
import { TpmDevice } from '../../src/tpm-device/device.ts';
import { TestProcess } from '../harness/child-process.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const DEVICE_MODULE = pathToFileURL('src/tpm-device/device.ts').href;
const TEMPLATES_MODULE = pathToFileURL('src/tpm/ek-templates.ts').href;
const NOBODY = 65534;
const BRIEF_MS = 300;

let tpm: Swtpm;
beforeAll(async () => {
  tpm = await startSwtpm({ ek: ['rsa-2048'] });
});
afterAll(() => tpm[Symbol.asyncDispose]());

describe('a TPM that is not there', () => {
  test.each([
    [
      'no device file',
      'device:/dev/tpm-that-is-not-here',
      /there is no TPM at \/dev\/tpm-that-is-not-here: load the driver/,
    ],
    ['no socket', 'swtpm:path=/tmp/no-swtpm-here', /no TPM answers at "swtpm:path=.*: start it, or correct "tcti"/],
    ['no port', 'swtpm:host=127.0.0.1,port=1', /no TPM answers at "swtpm:host=.*: start it, or correct "tcti"/],
    ['an unknown TCTI', 'gurke:1', /tpm2-tss has no TCTI for "gurke:1": install its libtss2-tcti package/],
    ['a TCTI that is misspelled', 'swtpm:gurke', /tpm2-tss does not understand "swtpm:gurke": correct "tcti"/],
  ])('%s', async (_rule, tcti, message) => {
    await expect(TpmDevice.open(tcti)).rejects.toMatchObject({
      code: 'TPM_UNAVAILABLE',
      message: expect.stringMatching(message),
    });
  });

  test('no permission', async () => {
    await using folder = await createTemporaryFolder();
    const path = folder.join('tpmrm0');
    await writeFile(path, '');
    await chmod(folder.path, 0o755);
    await chmod(path, 0o000);
    await expect(asNobody(() => TpmDevice.open(`device:${path}`))).rejects.toMatchObject({
      code: 'TPM_UNAVAILABLE',
      message: `no permission to use the TPM ${path}: add this user to the group that owns it, mostly "tss"`,
    });
  });
});

describe('a busy TPM', () => {
  test('that serves somebody else is given up in time, and works afterwards', async () => {
    const other = connect(join(tpm.folder, 'tpm'));
    await once(other, 'connect');
    const started = performance.now();
    await expect(TpmDevice.open(tpm.tcti, { lockTimeoutMs: BRIEF_MS })).rejects.toMatchObject({
      code: 'TPM_UNAVAILABLE',
      message: `the TPM at "${tpm.tcti}" is busy: another program held it for 0.3 s, end that one or raise "lock_timeout"`,
    });
    expect(performance.now() - started).toBeLessThan(10 * BRIEF_MS);
    other.destroy();
    await using device = await TpmDevice.open(tpm.tcti);
    expect(await device.readProperties()).toMatchObject({ manufacturer: 'IBM' });
  });

  test('does not keep a process alive that gave it up', async () => {
    const other = connect(join(tpm.folder, 'tpm'));
    await once(other, 'connect');
    await using child = await runProgram(
      `await TpmDevice.open(tcti, { lockTimeoutMs: ${BRIEF_MS} }).catch((error) => console.log(error.message));`,
    );
    expect(await child.readLine()).toMatch(/is busy/);
    expect(await child.readLine()).toBeUndefined(); // it has ended
    other.destroy();
  });

  test('of our own is waited for', async () => {
    const order: string[] = [];
    const first = await TpmDevice.open(tpm.tcti);
    const second = TpmDevice.open(tpm.tcti).then((device) => {
      order.push('second opened');
      return device;
    });
    await first.readProperties();
    order.push('first closes');
    await first[Symbol.asyncDispose]();
    await (await second)[Symbol.asyncDispose]();
    expect(order).toEqual(['first closes', 'second opened']);
  });

  test('of our own is waited for no longer than lock_timeout', async () => {
    await using _first = await TpmDevice.open(tpm.tcti);
    await expect(TpmDevice.open(tpm.tcti, { lockTimeoutMs: BRIEF_MS })).rejects.toMatchObject({
      message: expect.stringMatching(/is busy: another program held it for 0.3 s/),
    });
  });

  test('is not waited for once the signal aborts', async () => {
    await using _first = await TpmDevice.open(tpm.tcti);
    const signal = AbortSignal.timeout(50);
    await expect(TpmDevice.open(tpm.tcti, { signal })).rejects.toMatchObject({
      name: expect.stringMatching(/Abort|Timeout/),
    });
  });
});

describe('a process that ends', () => {
  const holdEk = `
    const device = await TpmDevice.open(tcti);
    await device.createEk(EK_TEMPLATES[1]);
    console.log('holding');`;

  test('by itself leaves nothing behind, though it closed nothing', async () => {
    await using child = await runProgram(`${holdEk} process.exit(0);`);
    expect(await child.readLine()).toBe('holding');
    expect(await child.readLine()).toBeUndefined();
    expect(await tpm.handles('transient')).toEqual([]);
  });

  test('by a signal leaves what the next one sweeps, and only that', async () => {
    await tpm.tools('tpm2_createprimary', '-C', 'o', '-c', 'foreign.ctx');
    const foreign = await tpm.handles('transient');
    expect(foreign).toHaveLength(1);
    await using child = await runProgram(`${holdEk} setInterval(() => device, 1000);`);
    expect(await child.readLine()).toBe('holding');
    await child.kill();
    expect(await tpm.handles('transient')).toHaveLength(2);
    await (await TpmDevice.open(tpm.tcti))[Symbol.asyncDispose]();
    expect(await tpm.handles('transient')).toEqual(foreign);
    await tpm.tools('tpm2_flushcontext', '-t');
  });
});

describe('an open TPM', () => {
  test('can be disposed of twice, and takes no work then', async () => {
    const device = await TpmDevice.open(tpm.tcti);
    await device[Symbol.asyncDispose]();
    await device[Symbol.asyncDispose]();
    await expect((async () => device.readProperties())()).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE' });
  });

  test('is flushed when the signal aborts in the middle of a command', async () => {
    const controller = new AbortController();
    const { EK_TEMPLATES } = await import('../../src/tpm/ek-templates.ts');
    const [template] = EK_TEMPLATES;
    if (template === undefined) throw new Error('no templates');
    {
      await using device = await TpmDevice.open(tpm.tcti, { signal: controller.signal });
      const ek = device.createEk(template);
      controller.abort();
      await expect(ek).rejects.toMatchObject({ name: 'AbortError' });
    }
    expect(await tpm.handles('transient')).toEqual([]);
    expect(await tpm.handles('loaded-session')).toEqual([]);
  });
});

/** A process of its own with `TpmDevice`, `EK_TEMPLATES` and the `tcti` at hand. */
function runProgram(body: string): Promise<TestProcess> {
  const head = `const { TpmDevice } = await import('${DEVICE_MODULE}');
    const { EK_TEMPLATES } = await import('${TEMPLATES_MODULE}');
    const tcti = ${JSON.stringify(tpm.tcti)};`;
  return TestProcess.node('--input-type=module', '-e', `${head}\n${body}`);
}

/** Root is refused nothing: its effective user is changed for a while. */
async function asNobody<T>(work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return work();
  process.seteuid?.(NOBODY);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

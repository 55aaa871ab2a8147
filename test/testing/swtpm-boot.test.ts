import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Swtpm, startSwtpm } from '../../src/testing/swtpm.ts';
import { TestProcess } from '../harness/child-process.ts';
import { eventually } from '../harness/eventually.ts';

const vector = (machine: string, name: string) =>
  readFileSync(join(import.meta.dirname, '..', 'vectors', 'tpm', machine, name));

/** Lines of bank, index and value, as tpm2_pcrread has them. */
async function readPcrs(tpm: Swtpm): Promise<readonly string[]> {
  let bank = '';
  return (await tpm.tools('tpm2_pcrread')).split('\n').flatMap((line) => {
    bank = /^\s*(sha\d+):/.exec(line)?.[1] ?? bank;
    const [, index, value] = /^\s*(\d+)\s*:\s*0x([0-9A-F]+)/.exec(line) ?? [];
    return value === undefined ? [] : [`${bank} ${index} ${value}`];
  });
}

async function resetCount(tpm: Swtpm): Promise<number> {
  const [, clock = ''] = /reset_count: (\d+)/.exec(await tpm.tools('tpm2_readclock')) ?? [];
  return Number(clock);
}

describe.each(['direct-kernel', 'shim-grub-secure-boot'])('a TPM that plays the machine %s', (machine) => {
  let tpm: Swtpm;
  beforeAll(async () => {
    tpm = await startSwtpm({
      eventLog: vector(machine, 'binary_bios_measurements'),
      imaLog: vector(machine, 'ima-binary.bin'),
      imaPaddedBanks: ['sha384'],
    });
  });
  afterAll(() => tpm[Symbol.asyncDispose]());

  test('has the PCRs of that machine in every bank', async () => {
    expect(await readPcrs(tpm)).toEqual(vector(machine, 'pcrs-after.txt').toString('utf8').trim().split('\n'));
  });

  test('boots again, as itself or as another', async () => {
    const before = await resetCount(tpm);
    await tpm.boot();
    expect((await readPcrs(tpm)).filter((line) => / (?:[0-9]|1[0-6]) .*[1-9A-F]$/.test(line))).toEqual([]);
    await tpm.boot({ eventLog: vector(machine, 'binary_bios_measurements') });
    expect(await readPcrs(tpm)).toEqual(
      vector(machine, 'pcrs-after.txt')
        .toString('utf8')
        .trim()
        .split('\n')
        .map((line) => line.replace(/^(sha\d+ 10) (.*)$/, (_, pcr, value) => `${pcr} ${'0'.repeat(value.length)}`)),
    );
    expect(await resetCount(tpm)).toBe(before + 2);
  });
});

/** A Spec ID event for SHA-256, then the events: type, PCR and data; digests of zeros. */
function eventLog(...events: readonly (readonly [type: number, pcr: number, data: Uint8Array])[]): Uint8Array {
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const spec = Buffer.concat([
    Buffer.from('Spec ID Event03\0', 'latin1'),
    Buffer.of(0, 0, 0, 0, 0, 2, 0, 2),
    u32(1),
    Buffer.of(0x0b, 0, 32, 0, 0),
  ]);
  const header = [u32(0), u32(3), Buffer.alloc(20), u32(spec.length), spec];
  const rest = events.flatMap(([type, pcr, data]) => [
    ...[u32(pcr), u32(type), u32(1), Buffer.of(0x0b, 0), Buffer.alloc(32)],
    ...[u32(data.length), data],
  ]);
  return Buffer.concat([...header, ...rest]);
}

const startup = (locality: number) => [3, 0, Buffer.from(`StartupLocality\0${String.fromCharCode(locality)}`)] as const;
const SEPARATOR = 4;

describe('a TPM', () => {
  let tpm: Swtpm;
  beforeAll(async () => {
    tpm = await startSwtpm();
  });
  afterAll(() => tpm[Symbol.asyncDispose]());

  test('that a CRTM started from locality 3 says so in PCR 0, and takes what a dynamic launch measured', async () => {
    await tpm.boot({ eventLog: eventLog(startup(3)) });
    expect(await readPcrs(tpm)).toContain(`sha256 0 ${'0'.repeat(62)}03`);
    await tpm.boot({ eventLog: eventLog([SEPARATOR, 18, Buffer.alloc(4)]) });
    const extended = /^sha256 18 (?!F+$)/;
    expect((await readPcrs(tpm)).filter((line) => extended.test(line))).toHaveLength(1);
  });

  test.each<readonly [string, () => { eventLog?: Uint8Array; imaLog?: Uint8Array }, string, RegExp]>([
    ['a log that an H-CRTM began', () => ({ eventLog: eventLog(startup(4)) }), 'ARGUMENT_INVALID', /H-CRTM/],
    ['a second startup locality', () => ({ eventLog: eventLog(startup(3), startup(3)) }), 'ATTESTATION_DENIED', /D27/],
    ['a log that is cut', () => ({ eventLog: eventLog(startup(3)).subarray(0, -1) }), 'ATTESTATION_DENIED', /D26/],
    ['no log', () => ({ eventLog: Buffer.from('no log') }), 'ATTESTATION_DENIED', /D26/],
    ['a broken IMA log', () => ({ imaLog: Buffer.alloc(100) }), 'ATTESTATION_DENIED', /E37/],
  ])('goes on as it was where a boot is %s', async (_what, recorded, code, message) => {
    const before = await readPcrs(tpm);
    await expect(tpm.boot(recorded())).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await readPcrs(tpm)).toEqual(before);
  });

  test('refuses banks that there are not, and a log without one of its banks', async () => {
    await expect(startSwtpm({ pcrBanks: 'md5' })).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    const start = startSwtpm({ pcrBanks: 'sha256,sha512', eventLog: eventLog() });
    await expect(start).rejects.toThrow('the event log has no digests for bank sha512 of the TPM');
  });
});

test('a TPM whose owner is killed ends, and takes its folder along', async () => {
  const index = join(import.meta.dirname, '..', '..', 'src', 'testing', 'index.ts');
  const code = `import { startSwtpm } from ${JSON.stringify(index)};
    const tpm = await startSwtpm();
    console.log(JSON.stringify({ folder: tpm.folder, pid: tpm.pid }));
    setInterval(() => {}, 1000);`;
  await using owner = await TestProcess.node('--input-type=module', '-e', code);
  const { folder, pid } = JSON.parse((await owner.readLine()) ?? '{}');
  expect(existsSync(join(folder, 'tpm'))).toBe(true);
  expect(argumentsOf(pid)).toContain(folder);
  await owner.kill();
  await eventually(() => {
    expect(existsSync(folder)).toBe(false);
    expect(argumentsOf(pid)).not.toContain(folder);
  });
});

/** None where the process has ended, even if nobody has looked after it. */
function argumentsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

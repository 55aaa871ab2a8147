import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Swtpm, startSwtpm } from '../../src/testing/swtpm.ts';
import { TPM_HASHES } from '../../src/tpm/algorithms.ts';
import { EVENT_TYPE } from '../../src/tpm/event-log/event-types.ts';
import { TestProcess } from '../harness/child-process.ts';
import { eventually } from '../harness/eventually.ts';
import { isGone } from '../plugin-host/is-gone.ts';
import { encodeEventLog, type MadeEvent } from '../tpm/made-event-log.ts';
import { MACHINES, type Machine, readVector } from '../tpm/vectors.ts';

const BANKS = ['sha1', 'sha256', 'sha384'];

/** `pcrs-after.txt`, as {@link readPcrs} has it. */
const recordedPcrs = (machine: Machine) =>
  Buffer.from(readVector(machine, 'pcrs-after.txt')).toString('ascii').trim().split('\n');

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
  const [, clock] = /reset_count: (\d+)/.exec(await tpm.tools('tpm2_readclock')) ?? [];
  if (clock === undefined) throw new RangeError('tpm2_readclock has no reset_count');
  return Number(clock);
}

describe.each(MACHINES)('a TPM that plays the machine %s', (machine) => {
  let tpm: Swtpm;
  beforeAll(async () => {
    tpm = await startSwtpm({
      eventLog: readVector(machine, 'binary_bios_measurements'),
      imaLog: readVector(machine, 'ima-binary.bin'),
      imaPaddedBanks: ['sha384'],
    });
  });
  afterAll(() => tpm[Symbol.asyncDispose]());

  test('has the PCRs of that machine in every bank', async () => {
    expect(await readPcrs(tpm)).toEqual(recordedPcrs(machine));
  });

  test('boots again, as itself or as another', async () => {
    const before = await resetCount(tpm);
    await tpm.boot();
    const values = await readPcrs(tpm);
    expect(values).toHaveLength(BANKS.length * 24);
    expect(values.filter((line) => / (?:[0-9]|1[0-6]) .*[1-9A-F]/.test(line))).toEqual([]);
    await tpm.boot({ eventLog: readVector(machine, 'binary_bios_measurements') });
    expect(await readPcrs(tpm)).toEqual(
      recordedPcrs(machine).map((line) =>
        line.replace(/^(sha\d+ 10) (.*)$/, (_, pcr, value) => `${pcr} ${'0'.repeat(value.length)}`),
      ),
    );
    expect(await resetCount(tpm)).toBe(before + 2);
  });
});

/** A log for SHA-256 alone; digests of zeros. */
function eventLog(...events: readonly Omit<MadeEvent, 'digests'>[]): Uint8Array {
  const digests: MadeEvent['digests'] = new Map([['sha256', new Uint8Array(32)]]);
  return encodeEventLog(
    events.map((one) => ({ ...one, digests })),
    { banks: [[TPM_HASHES.sha256.id, TPM_HASHES.sha256.size]] },
  );
}

const startup = (locality: number) => ({
  pcr: 0,
  type: EVENT_TYPE.EV_NO_ACTION,
  data: Buffer.from(`StartupLocality\0${String.fromCharCode(locality)}`),
});
const launched = { pcr: 18, type: EVENT_TYPE.EV_SEPARATOR, data: Buffer.alloc(4) };

describe('a TPM', () => {
  let tpm: Swtpm;
  beforeAll(async () => {
    tpm = await startSwtpm();
  });
  afterAll(() => tpm[Symbol.asyncDispose]());

  test('that a CRTM started from locality 3 says so in PCR 0, and takes what a dynamic launch measured', async () => {
    await tpm.boot({ eventLog: eventLog(startup(3)) });
    expect(await readPcrs(tpm)).toContain(`sha256 0 ${'0'.repeat(62)}03`);
    await tpm.boot({ eventLog: eventLog(launched) });
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
  expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain(folder);
  await owner.kill();
  await eventually(() => {
    expect(existsSync(folder)).toBe(false);
    expect(isGone(pid)).toBe(true);
  });
});

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { EkMemory } from '../../src/plugins/tpm/ek-memory.ts';
import { advance, type EkState, encodeEkState } from '../../src/plugins/tpm/ek-state.ts';
import type { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { imaPrefixBytes } from '../../src/tpm/ima/ima-prefix-bytes.ts';
import { parseImaLog } from '../../src/tpm/ima/parse-ima-log.ts';
import type { BootPolicy } from '../../src/tpm/policy/boot-policy.ts';
import { deniedBy } from '../harness/denied.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { MACHINES, readPcrVector, readVector } from '../tpm/vectors.ts';
import { bootedTpm, imaLogUpTo, logsOf } from './recorded-boot.ts';
import { type Attestation, attest } from './tpm-server-fixture.ts';

const [machine] = MACHINES;
const IMA = { ima_log: true };
const MEASURED_BEFORE = 18;
const logs = logsOf(machine);
const reading = { clock: 5n, resetCount: 1, restartCount: 0, safe: true };

/** One machine in one boot, whose kernel goes on measuring. */
function machineThat(): { readonly tpm: SoftwareTpm; goOn(): void } {
  const tpm = bootedTpm(machine, 'before');
  return { tpm, goOn: () => tpm.setPcr('sha256', 10, readPcrVector(machine, 'sha256', 10)) };
}

/** Attests, and tells from which byte the IMA log was asked for. */
async function offsetOf(attestation: Attestation): Promise<number> {
  const offsets: number[] = [];
  await attest({ ...attestation, onRequest: ({ log, offset }) => log === 'ima' && offsets.push(offset) });
  return offsets[0] ?? -1;
}

test('C24: what a folder keeps of a TPM survives the server', async () => {
  await using folder = await createTemporaryFolder();
  const path = folder.join('state');
  await (await EkMemory.openFolder(path)).remember('ab', reading, undefined);
  const later = await EkMemory.openFolder(path);
  expect(await later.recall('ab', reading)).toMatchObject({ resetCount: 1, bootSeenAt: 5n });
  await expect(later.recall('ab', { ...reading, resetCount: 0 })).rejects.toEqual(
    expect.objectContaining({ message: expect.stringMatching(/remove ab\.json from "state_path" \(check C24\)$/) }),
  );
  expect(await later.recall('cd', reading)).toBeUndefined();
  expect(await readdir(path)).toEqual(['ab.json']);
});

test('what a folder has cannot be misread: whatever was not written here is refused', async () => {
  await using folder = await createTemporaryFolder();
  const memory = await EkMemory.openFolder(folder.path);
  await memory.remember('ab', reading, undefined);
  const good = await readFile(folder.join('ab.json'), 'utf8');
  for (const bad of [
    '',
    '{}',
    good.slice(0, -3),
    good.replace('"version":1', '"version":2'),
    good.replace('"5"', '"x"'),
  ]) {
    await writeFile(folder.join('ab.json'), bad);
    await expect(memory.recall('ab', reading)).rejects.toMatchObject({ code: 'FILE_UNUSABLE' });
    await expect(memory.remember('ab', reading, undefined)).rejects.toMatchObject({ code: 'FILE_UNUSABLE' });
  }
});

test('of attestations of one TPM at once, none forgets what another has learned', async () => {
  await using folder = await createTemporaryFolder();
  const memory = await EkMemory.openFolder(folder.path);
  const all = [3n, 4n, 5n, 6n].map((clock) => memory.remember('ab', { ...reading, clock }, undefined));
  await Promise.all(all);
  expect(await memory.recall('ab', { ...reading, clock: 6n })).toMatchObject({ clock: 6n, bootSeenAt: 3n });
});

test('a folder that cannot be one is a mistake of the configuration', async () => {
  await using folder = await createTemporaryFolder();
  await writeFile(folder.join('file'), '');
  await expect(EkMemory.openFolder(folder.join('file'))).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/^state_path: ".*file" cannot be used/),
  });
});

test('a boot that goes on keeps what was verified of it, another begins anew', () => {
  const ima = {
    bank: 'sha256',
    byteCount: 9,
    entryCount: 2,
    violationCount: 0,
    pcr: new Uint8Array(32),
    isPaddedSha1: false,
    allowedBy: [],
  };
  const first: EkState = advance(undefined, reading, ima);
  expect(encodeEkState(first)).toContain('"byteCount":9');
  expect(advance(first, { ...reading, clock: 9n }, undefined)).toMatchObject({ ima, bootSeenAt: 5n, clock: 9n });
  expect(advance(first, { ...reading, restartCount: 1 }, undefined).ima).toBeUndefined();
  expect(advance(first, { ...reading, resetCount: 2, clock: 9n }, undefined)).toMatchObject({
    ima: undefined,
    bootSeenAt: 9n,
  });
});

test('within a boot only what an IMA log gained is asked for, after a reboot all of it', async () => {
  const memory = new EkMemory();
  const { tpm, goOn } = machineThat();
  expect(await offsetOf({ tpm, logs, config: IMA, memory })).toBe(0);
  goOn();
  const known = imaLogUpTo(machine, MEASURED_BEFORE).length;
  expect(await offsetOf({ tpm, logs, config: IMA, memory })).toBe(known);
  expect(await offsetOf({ tpm, logs, config: IMA, memory })).toBe(logs.ima.length);
  const rebooted = Object.assign(tpm, { clockInfo: { ...tpm.clockInfo, resetCount: 4 } });
  expect(await offsetOf({ tpm: rebooted, logs, config: IMA, memory })).toBe(0);
});

test('E39: an IMA log that lost what it had in this boot is refused', async () => {
  const memory = new EkMemory();
  const { tpm, goOn } = machineThat();
  goOn();
  await attest({ tpm, logs, config: IMA, memory });
  await expect(attest({ tpm, logs: {}, config: IMA, memory })).rejects.toEqual(deniedBy('E39'));
  tpm.setPcr('sha256', 10, bootedTpm(machine, 'before').readPcr('sha256', 10)); // as if it had been extended anew
  await expect(attest({ tpm, logs, config: IMA, memory })).rejects.toEqual(deniedBy('E39'));
});

test('a log that a policy was not judged by is read whole, however much of it is known', async () => {
  const memory = new EkMemory();
  const { tpm } = machineThat();
  await attest({ tpm, logs, config: IMA, memory });
  const policy: BootPolicy = { name: 'files', ima: { policies: ['tcb'], ignore: ['*'], violations: 9 } };
  const policies = { list: [policy], version: undefined, admitsOthers: true };
  expect(await offsetOf({ tpm, logs, config: IMA, memory, policies })).toBe(0);
});

test('the bytes of a part of an IMA log are those of its entries', () => {
  const all = readVector(machine, 'ima-binary.bin');
  const count = parseImaLog(all).length;
  expect(imaPrefixBytes(all, count)).toBe(all.length);
  expect(parseImaLog(all.subarray(0, imaPrefixBytes(all, 7)))).toHaveLength(7);
  expect(() => imaPrefixBytes(all, count + 1)).toThrow(expect.objectContaining({ code: 'ATTESTATION_DENIED' }));
});

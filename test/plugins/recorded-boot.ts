import { hash } from 'node:crypto';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import type { Swtpm } from '../../src/testing/swtpm.ts';
import { parseImaLog } from '../../src/tpm/ima/parse-ima-log.ts';
import type { ProverLogs } from '../harness/software-prover.ts';
import { type Machine, readVector } from '../tpm/vectors.ts';

/** A TPM with the PCRs of a captured machine, from before or after its IMA log went on. */
export function bootedTpm(machine: Machine, when: 'before' | 'after' = 'before'): SoftwareTpm {
  const tpm = new SoftwareTpm();
  for (const line of Buffer.from(readVector(machine, `pcrs-${when}.txt`))
    .toString('ascii')
    .split('\n')) {
    const [bank, index, value = ''] = line.split(' ');
    if (bank === 'sha256' || bank === 'sha384')
      tpm.setPcr(bank, Number(index), Uint8Array.from(Buffer.from(value, 'hex')));
  }
  return tpm;
}

/** The logs of a captured machine. */
export function logsOf(machine: Machine): Required<Omit<ProverLogs, 'command line'>> {
  return { event: readVector(machine, 'binary_bios_measurements'), ima: readVector(machine, 'ima-binary.bin') };
}

/** The first entries of a captured IMA log, as bytes. */
export function imaLogUpTo(machine: Machine, entryCount: number): Uint8Array {
  const bytes = readVector(machine, 'ima-binary.bin');
  const headerBytes = 4 + 20 + 4 + 4; // PCR, digest, two lengths
  const lengths = parseImaLog(bytes).map(
    ({ template, templateData }) => headerBytes + template.length + templateData.length,
  );
  const end = lengths.slice(0, entryCount).reduce((sum, length) => sum + length, 0);
  return bytes.subarray(0, end);
}

/** Extends PCR 10 by further entries of the captured IMA log, as the kernel would. */
export async function goOnMeasuring(tpm: Swtpm, machine: Machine, from: number, to: number): Promise<void> {
  const digests = parseImaLog(readVector(machine, 'ima-binary.bin'))
    .slice(from, to)
    .map(({ isViolation, templateData }) =>
      isViolation ? Buffer.alloc(32, 0xff) : hash('sha256', templateData, 'buffer'),
    );
  await tpm.tools('tpm2_pcrextend', ...digests.map((digest) => `10:sha256=${digest.toString('hex')}`));
}

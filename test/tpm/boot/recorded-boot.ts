import type { StrongHash } from '../../../src/tpm/algorithms.ts';
import type { BootEvidence } from '../../../src/tpm/boot/read-boot-facts.ts';
import { type Machine, readPcrVector, readVector } from '../vectors.ts';

/** What the kernel of `direct-kernel` was started with. */
export const DIRECT_KERNEL_COMMAND_LINE = 'console=ttyS0 ima_policy=tcb rootfstype=ramfs panic=-1 initrd=initrd';
/** What the quotes of the recorded machines cover. */
export const QUOTED_PCRS: readonly number[] = Array.from({ length: 15 }, (_, index) => index);

/** The evidence that a recorded machine would send, as its quotes have it. */
export function recordedBoot(machine: Machine, bank: StrongHash = 'sha256'): BootEvidence {
  const banks = [...new Set<StrongHash>([bank, 'sha256'])];
  return {
    bank,
    quoted: new Map(banks.map((one) => [one, recordedPcrs(machine, one)])),
    eventLog: readVector(machine, 'binary_bios_measurements'),
    commandLineHint: DIRECT_KERNEL_COMMAND_LINE,
    ima: { log: readVector(machine, 'ima-binary.bin'), allowPaddedSha1: bank !== 'sha256' },
  };
}

function recordedPcrs(machine: Machine, bank: StrongHash): ReadonlyMap<number, Uint8Array> {
  return new Map(QUOTED_PCRS.map((index) => [index, readPcrVector(machine, bank, index)]));
}

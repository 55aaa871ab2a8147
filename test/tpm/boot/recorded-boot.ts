import type { StrongHash } from '../../../src/tpm/algorithms.ts';
import type { BootEvidence } from '../../../src/tpm/boot/read-boot-facts.ts';
import { type Machine, readPcrVector, readVector } from '../vectors.ts';

/** What the kernel of `direct-kernel` was started with. */
export const DIRECT_KERNEL_COMMAND_LINE = 'console=ttyS0 ima_policy=tcb rootfstype=ramfs panic=-1 initrd=initrd';
/** What the quotes of the recorded machines cover. */
export const QUOTED_PCRS = Array.from({ length: 15 }, (_, index) => index);

/** The evidence that a recorded machine would send, as its quotes have it. */
export function recordedBoot(machine: Machine, bank: StrongHash = 'sha256'): BootEvidence {
  return {
    bank,
    quoted: new Map([[bank, new Map(QUOTED_PCRS.map((index) => [index, readPcrVector(machine, bank, index)]))]]),
    eventLog: readVector(machine, 'binary_bios_measurements'),
    commandLineHint: DIRECT_KERNEL_COMMAND_LINE,
  };
}

import { COMMAND_LINE_PCRS } from '../boot/command-line.ts';
import { FIRMWARE_PCR } from '../boot/firmware-facts.ts';
import { GRUB_PCRS } from '../boot/grub-facts.ts';
import { LOADER_PCR } from '../boot/loader-facts.ts';
import { SECURE_BOOT_PCR } from '../boot/secure-boot-facts.ts';
import { UKI_PCRS } from '../boot/uki-facts.ts';
import { IMA_PCR } from '../ima/replay-ima-log.ts';
import type { BootPolicy } from './boot-policy.ts';

/** `boot_aggregate` sums up PCR 0 to 9; the command line says what is measured. */
const IMA_PCRS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, IMA_PCR, ...COMMAND_LINE_PCRS];

/** The PCRs that a quote has to cover for a policy to be judged, ascending. */
export function pcrsRead(policy: BootPolicy): readonly number[] {
  const read = [
    ...(policy.pcrs ?? []).flatMap(({ values }) => Object.keys(values).map(Number)),
    ...(policy.firmware === undefined ? [] : [FIRMWARE_PCR]),
    ...(policy.secure_boot === undefined && policy.no_debug_mode !== true ? [] : [SECURE_BOOT_PCR]),
    ...(policy.loaders === undefined ? [] : [LOADER_PCR]),
    ...(policy.grub_commands === undefined && policy.boot_files === undefined ? [] : GRUB_PCRS),
    ...(policy.uki === undefined ? [] : UKI_PCRS),
    ...(policy.kernel_cmdline === undefined ? [] : COMMAND_LINE_PCRS),
    ...(policy.ima === undefined ? [] : IMA_PCRS),
  ];
  return [...new Set(read)].toSorted((one, other) => one - other);
}

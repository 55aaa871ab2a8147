import type { BootPolicy } from './boot-policy.ts';

const [FIRMWARE, LOADERS, SECURE_BOOT] = [[0], [4], [7]];
const GRUB = [8, 9];
const UKI = [11, 12, 13];
const COMMAND_LINE = [8, 9, 11, 12];
/** `boot_aggregate` sums up PCR 0 to 9. */
const IMA = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

/** The PCRs that a quote has to cover for a policy to be judged, ascending. */
export function pcrsRead(policy: BootPolicy): readonly number[] {
  const read = [
    ...(policy.pcrs ?? []).flatMap(({ values }) => Object.keys(values).map(Number)),
    ...(policy.firmware === undefined ? [] : FIRMWARE),
    ...(policy.secure_boot === undefined && policy.no_debug_mode !== true ? [] : SECURE_BOOT),
    ...(policy.loaders === undefined ? [] : LOADERS),
    ...(policy.grub_commands === undefined && policy.boot_files === undefined ? [] : GRUB),
    ...(policy.uki === undefined ? [] : UKI),
    ...(policy.kernel_cmdline === undefined ? [] : COMMAND_LINE),
    ...(policy.ima === undefined ? [] : IMA),
  ];
  return [...new Set(read)].toSorted((one, other) => one - other);
}

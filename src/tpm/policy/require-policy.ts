import type { BootFacts } from '../boot/boot-facts.ts';
import type { BootPolicy } from './boot-policy.ts';
import type { JudgeContext } from './judge-context.ts';
import { requireBootFiles, requireGrubCommands, requireLoaders, requireUki } from './rules/boot-chain.ts';
import { requireCommandLine } from './rules/command-line.ts';
import { requireFirmware, requireNoDebugMode, requireNoFailure } from './rules/firmware.ts';
import { requireBootAge, requireManufacturer } from './rules/machine.ts';
import { requirePcrs } from './rules/pcrs.ts';
import { requireSecureBoot } from './rules/secure-boot.ts';

/** All rules but that on IMA. @throws SpiffeError `ATTESTATION_DENIED` by the first that does not hold */
export function requireBoot(policy: BootPolicy, facts: BootFacts, context: JudgeContext): void {
  const { uki, kernel_cmdline } = policy;
  requireNoFailure(facts);
  when(policy.ek_manufacturers, (allowed) => requireManufacturer(allowed, context));
  when(policy.max_boot_age, (maximum) => requireBootAge(maximum, context));
  when(policy.pcrs, (sets) => requirePcrs(sets, facts));
  when(policy.firmware, (rule) => requireFirmware(rule, facts));
  when(policy.secure_boot, (rule) => requireSecureBoot(rule, facts));
  if (policy.no_debug_mode === true) requireNoDebugMode(facts);
  when(policy.loaders, (allowed) => requireLoaders(allowed, facts));
  when(policy.grub_commands, (patterns) => requireGrubCommands(patterns, facts));
  when(policy.boot_files, (allowed) => requireBootFiles(allowed, facts));
  when(uki, (rule) => requireUki(rule, facts));
  when(kernel_cmdline, (patterns) => requireCommandLine(patterns, uki, facts));
}

function when<T>(rule: T | undefined, require: (rule: T) => void): void {
  if (rule !== undefined) require(rule);
}

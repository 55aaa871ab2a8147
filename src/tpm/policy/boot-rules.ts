import type { BootFacts } from '../boot/boot-facts.ts';
import type { BootPolicy } from './boot-policy.ts';
import type { JudgeContext } from './judge-context.ts';
import { requireBootFiles, requireGrubCommands, requireLoaders, requireUki } from './rules/boot-chain.ts';
import { requireCommandLine } from './rules/command-line.ts';
import { requireFirmware, requireNoDebugMode, requireNoFailure } from './rules/firmware.ts';
import { requireBootAge, requireManufacturer } from './rules/machine.ts';
import { requirePcrs } from './rules/pcrs.ts';
import { requireSecureBoot } from './rules/secure-boot.ts';

/** Every rule of a policy but that on IMA, in the order in which they are judged; each throws where it does not hold. */
export function bootRules(policy: BootPolicy, facts: BootFacts, context: JudgeContext): readonly (() => void)[] {
  const { uki } = policy;
  return [
    () => requireNoFailure(facts),
    given(policy.ek_manufacturers, (allowed) => requireManufacturer(allowed, context)),
    given(policy.max_boot_age, (maximum) => requireBootAge(maximum, context)),
    given(policy.pcrs, (sets) => requirePcrs(sets, facts)),
    given(policy.firmware, (rule) => requireFirmware(rule, facts)),
    given(policy.secure_boot, (rule) => requireSecureBoot(rule, facts)),
    given(policy.no_debug_mode === true ? true : undefined, () => requireNoDebugMode(facts)),
    given(policy.loaders, (allowed) => requireLoaders(allowed, facts)),
    given(policy.grub_commands, (patterns) => requireGrubCommands(patterns, facts)),
    given(policy.boot_files, (allowed) => requireBootFiles(allowed, facts)),
    given(uki, (rule) => requireUki(rule, facts)),
    given(policy.kernel_cmdline, (patterns) => requireCommandLine(patterns, uki, facts)),
  ];
}

function given<T>(rule: T | undefined, require: (rule: T) => void): () => void {
  return () => {
    if (rule !== undefined) require(rule);
  };
}

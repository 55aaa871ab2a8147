import type { BootFacts } from '../../../src/tpm/boot/boot-facts.ts';
import { readBootFacts } from '../../../src/tpm/boot/read-boot-facts.ts';
import type { BootPolicy } from '../../../src/tpm/policy/boot-policy.ts';
import type { JudgeContext } from '../../../src/tpm/policy/judge-context.ts';
import { bootOf, eventIn, grubText, rebootOf, recordedLog, section } from '../boot/made-boot.ts';
import { recordedBoot } from '../boot/recorded-boot.ts';
import { digestOf, event, type MadeEvent } from '../made-event-log.ts';
import { toHex } from '../vectors.ts';

export const grubLog = recordedLog('shim-grub-secure-boot');
export const grub = readBootFacts(recordedBoot('shim-grub-secure-boot'));
export const direct = readBootFacts(recordedBoot('direct-kernel'));
export const sha256 = (text: string) => toHex(digestOf('sha256', Buffer.from(text)));
export const HEX = 'ab'.repeat(32);
export const KERNEL = '5f21ff2c0d5d899842b28a8b19901ba72cf7a7ab93c02a77fadc6ff72be85b31';
export const LOADERS = [
  '80a66d53a945d2286fcadd780fae1c225aa732079cd67b5225dc78aaab4e2ff8',
  'a68f6d71ebddaa19751ff8d729f67d11b0df8e4c49400c3e7e90de16119e1265',
  KERNEL,
];
export const DEBIAN = 'CN=Debian Secure Boot CA';
export const MICROSOFT = 'sha256:48e99b991f57fc52f76149599bff0a58c47154229b9f8d603ac40d3500248507';
export const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** A machine like the recorded one, with something in place of one event. */
export const changed = (number: number, change: (one: MadeEvent) => MadeEvent) =>
  readBootFacts(
    rebootOf(
      grubLog,
      grubLog.events.map((one) => (one.number === number ? change(one) : one)),
    ),
  );

export const UKI = [
  ...section('.linux', 'a kernel'),
  ...section('.cmdline', 'quiet ima_policy=tcb'),
  ...section('.initrd', 'an initrd'),
];
export const SECTIONS = {
  '.linux': sha256('a kernel'),
  '.cmdline': sha256('quiet ima_policy=tcb'),
  '.initrd': sha256('an initrd'),
};
export const uki = (...more: readonly MadeEvent[]) => readBootFacts(bootOf([...UKI, ...more], 'quiet ima_policy=tcb'));
export const credential = event(12, 'EV_IPL', Buffer.from('Credentials initrd'), Buffer.from('cpio'));
export const extension = event(13, 'EV_IPL', Buffer.from('sysext'), Buffer.from('image'));
export const failing = event(0, 'EV_SEPARATOR', Buffer.from([1, 0, 0, 0]));
export const version = (text: string, ...after: readonly MadeEvent[]) =>
  readBootFacts(
    bootOf([
      event(0, 'EV_S_CRTM_VERSION', Buffer.from(`${text}\0`, 'utf16le')),
      event(0, 'EV_SEPARATOR', Buffer.alloc(4)),
      ...after,
    ]),
  );
export const withoutPcr = (facts: Parameters<typeof readBootFacts>[0], index: number) => {
  const quoted = new Map([...(facts.quoted.get('sha256') ?? [])].filter(([one]) => one !== index));
  return readBootFacts({ ...facts, ima: undefined, quoted: new Map([['sha256', quoted]]) });
};
export const recorded = recordedBoot('shim-grub-secure-boot');

export type Rules = Omit<BootPolicy, 'name'>;
export type Holding = readonly [what: string, facts: BootFacts, rules: Rules, context?: JudgeContext];
export type Broken = readonly [
  rule: string,
  what: string,
  facts: BootFacts,
  rules: Rules,
  message: RegExp,
  context?: JudgeContext,
];

export function valuesOf({ pcrs }: BootFacts, ...indices: readonly number[]): Readonly<Record<string, string>> {
  return Object.fromEntries(indices.map((index) => [index, toHex(pcrs.get(index) ?? new Uint8Array())]));
}

export function upper(values: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(values).map(([index, value]) => [index, value.toUpperCase()]));
}

export function dbxOf({ secureBoot }: BootFacts) {
  if ('unknown' in secureBoot) throw new RangeError(secureBoot.unknown);
  return secureBoot.dbx;
}

export function filesOf({ grub: found }: BootFacts): readonly string[] {
  if ('unknown' in found) throw new RangeError(found.unknown);
  return found.files.map(({ digest }) => digest);
}

export function extended7(name: string, data: Uint8Array): BootFacts {
  const shim = Buffer.from('50ab5d6046e00043abb63dd810dd8b23', 'hex');
  const lengths = Buffer.alloc(16);
  lengths.writeBigUInt64LE(BigInt(name.length), 0);
  lengths.writeBigUInt64LE(BigInt(data.length), 8);
  const variable = Buffer.concat([shim, lengths, Buffer.from(name, 'utf16le'), data]);
  const more = eventIn(grubLog, { pcr: 7, type: 'EV_EFI_VARIABLE_AUTHORITY', data: variable });
  return readBootFacts(rebootOf(grubLog, [...grubLog.events, more]));
}

export function extended8(prefix: 'grub_cmd' | 'kernel_cmdline', text: string): BootFacts {
  return readBootFacts(rebootOf(grubLog, [...grubLog.events, eventIn(grubLog, grubText(prefix, text))]));
}

export function debugged(): BootFacts {
  const debug = eventIn(grubLog, { pcr: 7, type: 'EV_EFI_ACTION', data: Buffer.from('UEFI Debug Mode') });
  return readBootFacts(rebootOf(grubLog, [debug, ...grubLog.events]));
}

/** Up to what the firmware itself verified. */
export function secureWithoutShim(): BootFacts {
  return readBootFacts(
    rebootOf(
      grubLog,
      grubLog.events.filter(({ number }) => number <= 24),
    ),
  );
}

/** Up to the end of the firmware. */
export function verifiedNothing(): BootFacts {
  return readBootFacts(
    rebootOf(
      grubLog,
      grubLog.events.filter(({ number }) => number <= 21),
    ),
  );
}

import { createHash } from 'node:crypto';
import { requireCheck } from '../../x509/require-check.ts';
import { EVENT_TYPE } from '../event-log/event-types.ts';
import type { JudgedEvent } from '../event-log/judge-events.ts';
import { LogReader } from '../log-reader.ts';
import type { CommandLine, CommandLineFacts, MeasuredDigest } from './boot-facts.ts';
import { type MeasuredEvents, referenceTo } from './measured-events.ts';

/** A rule about the command line reads all of these: whoever may leave one out can hide another line in it. */
export const COMMAND_LINE_PCRS: readonly number[] = [8, 9, 11, 12];
const [GRUB_PCR, KERNEL_PCR, , SYSTEMD_PCR] = [8, 9, 11, 12] as const;
const KERNEL_COMMAND_LINE = 'kernel_cmdline: ';
const GRUB_COMMAND = 'grub_cmd: ';
/** GRUB's commands that say what a kernel is started with. */
const KERNEL_COMMANDS: ReadonlySet<string> = new Set([
  'linux',
  'linux16',
  'linuxefi',
  'multiboot',
  'multiboot2',
  'module',
  'module2',
  'xen_hypervisor',
  'xen_module',
]);
/** LOAD_OPTIONS_EVENT_TAG_ID of Linux's EFI stub. */
const LOAD_OPTIONS_TAG = 0x8f3b_22ed;

/**
 * Finds every text that may be the kernel's command line. Whether GRUB's text is a command or the command line is not
 * measured, so the arguments of its `linux` commands count as well: what was really used cannot be called a command and be
 * followed by a better one.
 *
 * @param hint believed where the EFI stub measured it
 * @throws SpiffeError `ATTESTATION_DENIED` (C22, D29)
 */
export function readCommandLine(events: MeasuredEvents, hint: string | undefined): CommandLineFacts {
  const unread: MeasuredDigest[] = [];
  const lines = [...readGrub(events, unread), ...readEfiStub(events, hint), ...readSystemdStub(events, unread)];
  requireCheck('D29', lines.length > 0, 'no event of PCR 8, 9, 11 or 12 is a command line of the kernel');
  return { lines, unread };
}

function readGrub(events: MeasuredEvents, unread: MeasuredDigest[]): readonly CommandLine[] {
  return events.of(GRUB_PCR).flatMap(({ event, isAuthenticated }) => {
    if (event.type === EVENT_TYPE.EV_SEPARATOR) return [];
    if (event.type !== EVENT_TYPE.EV_IPL || !isAuthenticated) {
      unread.push(events.toDigest(event));
      return [];
    }
    const text = findGrubLine(Buffer.from(event.data).toString('utf8').replace(/\0$/, ''));
    return text === undefined
      ? []
      : [{ source: 'grub', text, digest: events.digestOf(event), event: referenceTo(event) } as const];
  });
}

function findGrubLine(logged: string): string | undefined {
  if (logged.startsWith(KERNEL_COMMAND_LINE)) return logged.slice(KERNEL_COMMAND_LINE.length);
  const command = logged.slice(GRUB_COMMAND.length);
  const end = command.indexOf(' ');
  return end > 0 && KERNEL_COMMANDS.has(command.slice(0, end)) ? command.slice(end + 1) : undefined;
}

/**
 * The stub measures before anything else that the kernel measures, so only the first event of PCR 9 can be its, and only
 * where no GRUB has measured files there: anything later may have been added by who is root.
 */
function readEfiStub(events: MeasuredEvents, hint: string | undefined): readonly CommandLine[] {
  const [first] = events.of(KERNEL_PCR);
  if (first === undefined || events.of(GRUB_PCR).length > 0 || !isLoadOptions(first)) return [];
  const digest = events.digestOf(first.event);
  const isHinted = hint !== undefined && digestOfText(events, hint) === digest;
  return [{ source: 'efi-stub', text: isHinted ? hint : undefined, digest, event: referenceTo(first.event) }];
}

function isLoadOptions({ event: { type, data } }: JudgedEvent): boolean {
  return (
    type === EVENT_TYPE.EV_EVENT_TAG &&
    data.length >= 4 &&
    new LogReader(data, 'a tagged event').u32() === LOAD_OPTIONS_TAG
  );
}

function digestOfText({ bank }: MeasuredEvents, text: string): string {
  return createHash(bank)
    .update(Buffer.from(`${text}\0`, 'utf16le'))
    .digest('hex');
}

function readSystemdStub(events: MeasuredEvents, unread: MeasuredDigest[]): readonly CommandLine[] {
  return events.of(SYSTEMD_PCR).flatMap(({ event, isAuthenticated }) => {
    if (event.type === EVENT_TYPE.EV_SEPARATOR) return [];
    const text = isAuthenticated ? findUtf16(event.data) : undefined;
    if (text === undefined) {
      unread.push(events.toDigest(event));
      return [];
    }
    return [{ source: 'systemd-stub', text, digest: events.digestOf(event), event: referenceTo(event) } as const];
  });
}

/** UTF-16 with a NUL behind it, and none before. */
function findUtf16(data: Uint8Array): string | undefined {
  const text = Buffer.from(data).toString('utf16le');
  return data.length % 2 === 0 && text.indexOf('\0') === text.length - 1 ? text.slice(0, -1) : undefined;
}

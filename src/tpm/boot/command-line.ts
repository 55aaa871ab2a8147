import { createHash } from 'node:crypto';
import { requireCheck } from '../../x509/require-check.ts';
import { EVENT_TYPE } from '../event-log/event-types.ts';
import type { JudgedEvent } from '../event-log/judge-events.ts';
import { LogReader } from '../log-reader.ts';
import type { CommandLine, CommandLineFacts, MeasuredDigest } from './boot-facts.ts';
import { isSeparator, type MeasuredEvents, referenceTo } from './measured-events.ts';
import { readSections } from './uki-sections.ts';

/** A rule about the command line reads all of these: whoever may leave one out can hide another line in it. */
export const COMMAND_LINE_PCRS: readonly number[] = [8, 9, 11, 12];
export const GRUB_PCR = 8;
export const KERNEL_PCR = 9;
const SYSTEMD_PCR = 12;
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

interface Reading {
  readonly lines: readonly CommandLine[];
  readonly unread: readonly MeasuredDigest[];
}

/**
 * Finds every text that may be the kernel's command line. Whether GRUB's text is a command or the command line is not
 * measured, so the arguments of its `linux` commands count as well: what was really used cannot be called a command and be
 * followed by a better one.
 *
 * @param hint the text of /proc/cmdline, believed where a digest is of it
 * @throws SpiffeError `ATTESTATION_DENIED` (C22, D29, D34)
 */
export function readCommandLine(events: MeasuredEvents, hint: string | undefined): CommandLineFacts {
  const [grub, systemd] = [readGrub(events), readSystemdStub(events)];
  const lines = [...grub.lines, ...readEfiStub(events, hint), ...readSection(events, hint), ...systemd.lines];
  requireCheck('D29', lines.length > 0, 'no event of PCR 8, 9, 11 or 12 is a command line of the kernel');
  return { lines, unread: [...grub.unread, ...systemd.unread] };
}

function readGrub(events: MeasuredEvents): Reading {
  const lines: CommandLine[] = [];
  const unread: MeasuredDigest[] = [];
  for (const { judged, text } of readGrubTexts(events)) {
    if (text === undefined) unread.push(events.toDigest(judged.event));
    else if (text.commandLine !== undefined) lines.push(toLine('grub', text.commandLine, judged, events));
  }
  return { lines, unread };
}

/** What GRUB says that it did. */
export interface GrubText {
  readonly text: string;
  /** Where it starts a kernel. */
  readonly commandLine: string | undefined;
}

/** An event of {@link GRUB_PCR}; without a text where that is none that was measured. */
export interface GrubEvent {
  readonly judged: JudgedEvent;
  readonly text: GrubText | undefined;
}

/** Of menus, which have hundreds: both the commands and the command lines are made of them. */
const grubTexts = new WeakMap<MeasuredEvents, readonly GrubEvent[]>();

/** @throws SpiffeError `ATTESTATION_DENIED` (C22) */
export function readGrubTexts(events: MeasuredEvents): readonly GrubEvent[] {
  const known =
    grubTexts.get(events) ??
    events
      .of(GRUB_PCR)
      .filter((judged) => !isSeparator(judged))
      .map((judged) => ({ judged, text: readGrubText(judged) }));
  grubTexts.set(events, known);
  return known;
}

function readGrubText({ event: { type, data }, isAuthenticated }: JudgedEvent): GrubText | undefined {
  if (type !== EVENT_TYPE.EV_IPL || !isAuthenticated) return undefined;
  const end = data.at(-1) === 0 ? data.length - 1 : data.length;
  const logged = Buffer.from(data.buffer, data.byteOffset, end).toString('utf8');
  if (logged.includes('\ufffd')) return undefined;
  if (logged.startsWith(KERNEL_COMMAND_LINE)) {
    const text = logged.slice(KERNEL_COMMAND_LINE.length);
    return { text, commandLine: text };
  }
  const text = logged.slice(GRUB_COMMAND.length);
  const command = text.slice(0, Math.max(text.indexOf(' '), 0));
  return { text, commandLine: KERNEL_COMMANDS.has(command) ? text.slice(command.length + 1) : undefined };
}

/**
 * The stub measures before anything else that the kernel measures, so only the first event of PCR 9 can be its, and only
 * where no GRUB has measured files there: anything later may have been added by who is root.
 */
export function findEfiStubEvent(events: MeasuredEvents): JudgedEvent | undefined {
  const [first] = events.of(KERNEL_PCR);
  return first !== undefined && events.of(GRUB_PCR).length === 0 && isLoadOptions(first) ? first : undefined;
}

function readEfiStub(events: MeasuredEvents, hint: string | undefined): readonly CommandLine[] {
  const found = findEfiStubEvent(events);
  if (found === undefined) return [];
  const candidates = hint === undefined ? [] : [Buffer.from(`${hint}\0`, 'utf16le')];
  const isHinted = hasDigest(candidates, events.digestOf(found.event), events);
  return [toLine('efi-stub', isHinted ? hint : undefined, found, events)];
}

function isLoadOptions({ event: { type, data } }: JudgedEvent): boolean {
  const isTagged = type === EVENT_TYPE.EV_EVENT_TAG && data.length >= 4;
  return isTagged && new LogReader(data, 'a tagged event').u32() === LOAD_OPTIONS_TAG;
}

/** Of a unified kernel image, which holds it as a file. */
function readSection(events: MeasuredEvents, hint: string | undefined): readonly CommandLine[] {
  const section = readSections(events).get('.cmdline');
  if (section === undefined) return [];
  const { digest, event } = section;
  const candidates = hint === undefined ? [] : ['', '\0', '\n'].map((end) => Buffer.from(`${hint}${end}`));
  return [{ source: 'uki', text: hasDigest(candidates, digest, events) ? hint : undefined, digest, event }];
}

/** What systemd-stub was handed: command lines, and what else it measures into PCR 12. */
export function readSystemdStub(events: MeasuredEvents): Reading {
  const lines: CommandLine[] = [];
  const unread: MeasuredDigest[] = [];
  for (const judged of events.of(SYSTEMD_PCR)) {
    if (isSeparator(judged)) continue;
    const text = judged.isAuthenticated ? findUtf16(judged.event.data) : undefined;
    if (text === undefined) unread.push(events.toDigest(judged.event));
    else lines.push(toLine('systemd-stub', text, judged, events));
  }
  return { lines, unread };
}

/** With a NUL behind it, and none before. */
function findUtf16(data: Uint8Array): string | undefined {
  const text = Buffer.from(data).toString('utf16le');
  const isExact = data.length % 2 === 0 && text.indexOf('\0') === text.length - 1 && text.isWellFormed();
  return isExact ? text.slice(0, -1) : undefined;
}

function toLine(
  source: CommandLine['source'],
  text: string | undefined,
  { event }: JudgedEvent,
  events: MeasuredEvents,
): CommandLine {
  return { source, text, digest: events.digestOf(event), event: referenceTo(event) };
}

function hasDigest(candidates: readonly Uint8Array[], digest: string, { bank }: MeasuredEvents): boolean {
  return candidates.some((bytes) => createHash(bank).update(bytes).digest('hex') === digest);
}

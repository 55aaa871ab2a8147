import type { StrongHash, TpmHash } from '../../../src/tpm/algorithms.ts';
import type { BootEvidence, QuotedPcrs } from '../../../src/tpm/boot/read-boot-facts.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-log/event-types.ts';
import { type EventLog, type LogEvent, parseEventLog } from '../../../src/tpm/event-log/parse-event-log.ts';
import { replayEventLog } from '../../../src/tpm/event-log/replay.ts';
import { digestOf, encodeAgain, encodeEventLog, event, type MadeEvent } from '../made-event-log.ts';
import { type Machine, readVector } from '../vectors.ts';

/** All but those that anybody may reset. */
const PCRS = Array.from({ length: 16 }, (_, index) => index).filter((index) => index !== 10);

/** The log of a recorded machine, to be changed. */
export function recordedLog(machine: Machine): EventLog {
  return parseEventLog(readVector(machine, 'binary_bios_measurements'));
}

/** What a machine would send that measured exactly these events: log and quote are of one piece. */
export function bootOf(events: readonly MadeEvent[], hint?: string): BootEvidence {
  return evidenceOf(encodeEventLog(events), hint);
}

/** The same for the changed log of a recorded machine. */
export function rebootOf(log: EventLog, events: readonly MadeEvent[], hint?: string): BootEvidence {
  return evidenceOf(encodeAgain({ ...log, events: numbered(events) }), hint);
}

/** The log that somebody made of a recorded one, under the quote of the machine that wrote that. */
export function forgedOf(evidence: BootEvidence, log: EventLog, events: readonly MadeEvent[]): BootEvidence {
  return { ...evidence, eventLog: encodeAgain({ ...log, events: numbered(events) }) };
}

function evidenceOf(eventLog: Uint8Array, commandLineHint: string | undefined): BootEvidence {
  return { bank: 'sha256', quoted: new Map([['sha256', replayed(eventLog, 'sha256')]]), eventLog, commandLineHint };
}

export function replayed(eventLog: Uint8Array, bank: StrongHash): QuotedPcrs {
  const pcrs = replayEventLog(parseEventLog(eventLog), bank);
  return new Map(PCRS.map((index) => [index, pcrs[index]?.value ?? new Uint8Array()]));
}

function numbered(events: readonly MadeEvent[]): readonly LogEvent[] {
  return events.map((one, index) => ({ ...one, number: index + 1 }));
}

/** An event of any PCR in the banks of a recorded log. */
export function eventIn(
  { banks }: EventLog,
  {
    pcr,
    type,
    data,
    measured = data,
  }: { pcr: number; type: keyof typeof EVENT_TYPE; data: Uint8Array; measured?: Uint8Array },
): MadeEvent {
  const digests = new Map<TpmHash, Uint8Array>(banks.map((bank) => [bank, digestOf(bank, measured)]));
  return { pcr, type: EVENT_TYPE[type], data, digests };
}

export const grubText = (prefix: 'grub_cmd' | 'kernel_cmdline', text: string) => ({
  pcr: 8,
  type: 'EV_IPL' as const,
  data: Buffer.from(`${prefix}: ${text}\0`),
  measured: Buffer.from(text),
});

/** Name and contents, as systemd-stub measures a section. */
export function section(name: string, contents: string): readonly MadeEvent[] {
  const hint = Buffer.from(`${name}\0`, 'utf16le');
  return [event(11, 'EV_IPL', hint, Buffer.from(`${name}\0`)), event(11, 'EV_IPL', hint, Buffer.from(contents))];
}

export const stubLine = (text: string): MadeEvent => event(12, 'EV_IPL', Buffer.from(`${text}\0`, 'utf16le'));

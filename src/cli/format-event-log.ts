import { describeEvent } from '../tpm/event-log/describe-event.ts';
import { EVENT_TYPE, eventTypeName } from '../tpm/event-log/event-types.ts';
import { BOOT_PCRS } from '../tpm/event-log/replay.ts';
import type { ExaminedEvent, ExaminedEventLog } from './examine-event-log.ts';
import { formatSecureBoot, toSecureBootJson } from './format-secure-boot.ts';
import { onOneLine } from './output.ts';

/** One event a line, then what the PCRs of each bank hold after them. */
export function formatEventLog({ events, pcrs, matching, secureBoot }: ExaminedEventLog): string {
  const rows = events.map((examined) => {
    const { number, pcr, type } = examined.event;
    return [
      String(number),
      String(pcr),
      eventTypeName(type),
      trustOf(examined),
      onOneLine(describeEvent(examined.event)),
    ];
  });
  const table = [['EVENT', 'PCR', 'TYPE', 'DATA', 'WHAT IT SAYS'], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const lines = table.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  const values = [...pcrs].flatMap(([bank, replayed]) => [
    '',
    `${bank}${matching.includes(bank) ? ': as the TPM has it' : ''}`,
    ...BOOT_PCRS.filter((index) => (replayed[index]?.eventCount ?? 0) > 0).map(
      (index) => `  PCR ${String(index).padEnd(2)}  ${hex(replayed[index]?.value)}`,
    ),
  ]);
  return `${[...lines, '', ...formatSecureBoot(secureBoot), ...values].map((line) => line.trimEnd()).join('\n')}\n`;
}

/** The same as JSON, with every digest. */
export function toEventLogJson({ log, events, pcrs, matching, secureBoot, problems }: ExaminedEventLog): string {
  const json = {
    banks: log.banks,
    events: events.map((examined) => ({
      number: examined.event.number,
      pcr: examined.event.pcr,
      type: eventTypeName(examined.event.type),
      data: trustOf(examined),
      description: describeEvent(examined.event),
      digests: Object.fromEntries([...examined.event.digests].map(([bank, digest]) => [bank, hex(digest)])),
    })),
    pcrs: Object.fromEntries(
      [...pcrs].map(([bank, replayed]) => [bank, replayed.map(({ value }) => hex(value))] as const),
    ),
    secureBoot: toSecureBootJson(secureBoot),
    matching,
    problems,
  };
  return `${JSON.stringify(json)}\n`;
}

/** Whether the digest, which the TPM vouches for, is of the data: else the data is what somebody wrote beside it. */
function trustOf({ event, isAuthenticated }: ExaminedEvent): string {
  if (event.type === EVENT_TYPE.EV_NO_ACTION) return 'not measured';
  return isAuthenticated ? 'authenticated' : 'hint';
}

const hex = (bytes: Uint8Array = new Uint8Array()) => Buffer.from(bytes).toString('hex');

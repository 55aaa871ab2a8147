import { describeEvent } from '../tpm/event-log/describe-event.ts';
import { EVENT_TYPE, eventTypeName } from '../tpm/event-log/event-types.ts';
import type { JudgedEvent } from '../tpm/event-log/judge-events.ts';
import { BOOT_PCRS } from '../tpm/event-log/replay.ts';
import type { ExaminedEventLog } from './examine-event-log.ts';
import { formatSecureBoot, toSecureBootJson } from './format-secure-boot.ts';
import { formatHex, formatTable, onOneLine } from './output.ts';

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
  const lines = formatTable([['EVENT', 'PCR', 'TYPE', 'DATA', 'WHAT IT SAYS'], ...rows]);
  const values = [...pcrs].flatMap(([bank, replayed]) => [
    '',
    `${bank}${matching.includes(bank) ? ': as the TPM has it' : ''}`,
    ...BOOT_PCRS.filter((index) => (replayed[index]?.eventCount ?? 0) > 0).map(
      (index) => `  PCR ${String(index).padEnd(2)}  ${formatHex(replayed[index]?.value)}`,
    ),
  ]);
  return `${[...lines, '', ...formatSecureBoot(secureBoot), ...values].join('\n')}\n`;
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
      digests: Object.fromEntries([...examined.event.digests].map(([bank, digest]) => [bank, formatHex(digest)])),
    })),
    pcrs: Object.fromEntries(
      [...pcrs].map(([bank, replayed]) => [bank, replayed.map(({ value }) => formatHex(value))] as const),
    ),
    secureBoot: toSecureBootJson(secureBoot),
    matching,
    problems,
  };
  return `${JSON.stringify(json)}\n`;
}

/** Whether the digest, which the TPM vouches for, is of the data: else the data is what somebody wrote beside it. */
function trustOf({ event, isAuthenticated }: JudgedEvent): string {
  if (event.type === EVENT_TYPE.EV_NO_ACTION) return 'not measured';
  return isAuthenticated ? 'authenticated' : 'hint';
}

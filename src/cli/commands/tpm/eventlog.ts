import { SpiffeError } from '../../../spiffe/error.ts';
import { MAX_EVENT_LOG_BYTES, parseEventLog } from '../../../tpm/event-log/parse-event-log.ts';
import { defineCommand } from '../../command.ts';
import { examineEventLog } from '../../examine-event-log.ts';
import { text } from '../../flag-kinds.ts';
import { formatEventLog, toEventLogJson } from '../../format-event-log.ts';
import { outputFlag } from '../../output.ts';
import { parsePcrFile } from '../../parse-pcr-file.ts';
import { requireNoProblems } from '../../problems.ts';
import { readInputBytes, readInputFile } from '../../read-input-file.ts';

export const tpmEventlog = defineCommand({
  summary: 'Show what firmware and boot loader measured, and whether a TPM has just that',
  flags: {
    output: outputFlag,
    pcrs: text(
      'File with lines of bank, index and value of a TPM: the log has to give PCR 0 to 9 and 11 to 15',
      'FILE',
    ),
  },
  operands: 'LOG',
  flagsFollow: true,
  run: async ({ output, pcrs }, terminal, [path, ...more]) => {
    if (path === undefined || more.length > 0) {
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        'give one file, such as /sys/kernel/security/tpm0/binary_bios_measurements',
      );
    }
    const values = pcrs === '' ? undefined : parsePcrFile(await readInputFile(pcrs, terminal));
    const examined = examineEventLog(parseEventLog(await readInputBytes(path, MAX_EVENT_LOG_BYTES)), values);
    terminal.print(output === 'json' ? toEventLogJson(examined) : formatEventLog(examined));
    requireNoProblems('the event log', examined.problems);
  },
});

import { SpiffeError } from '../../../spiffe/error.ts';
import { MAX_IMA_LOG_BYTES, parseImaLog } from '../../../tpm/ima/parse-ima-log.ts';
import { defineCommand } from '../../command.ts';
import { examineImaLog } from '../../examine-ima-log.ts';
import { text, toggle } from '../../flag-kinds.ts';
import { formatImaLog, toImaLogJson } from '../../format-ima-log.ts';
import { outputFlag } from '../../output.ts';
import { parsePcrFile } from '../../parse-pcr-file.ts';
import { requireNoProblems } from '../../problems.ts';
import { readInputBytes, readInputFile } from '../../read-input-file.ts';

export const tpmIma = defineCommand({
  summary: 'Show which files the kernel measured, and how much of that a TPM vouches for',
  flags: {
    output: outputFlag,
    pcrs: text('File with lines of bank, index and value of a TPM: PCR 10 has to be what the log begins with', 'FILE'),
    allowPaddedSha1: toggle('Let a bank be what a kernel without its hash makes of it: no better than SHA-1'),
  },
  operands: 'LOG',
  flagsFollow: true,
  run: async ({ output, pcrs, allowPaddedSha1 }, terminal, [path, ...more]) => {
    if (path === undefined || more.length > 0) {
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        'give one file, such as /sys/kernel/security/ima/binary_runtime_measurements',
      );
    }
    const values = pcrs === '' ? undefined : parsePcrFile(await readInputFile(pcrs, terminal));
    const log = parseImaLog(await readInputBytes(path, MAX_IMA_LOG_BYTES));
    const examined = examineImaLog(log, values && { values, allowsPaddedSha1: allowPaddedSha1 });
    terminal.print(output === 'json' ? toImaLogJson(examined) : formatImaLog(examined));
    requireNoProblems('the IMA log', examined.problems);
  },
});

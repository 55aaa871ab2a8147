import { randomBytes } from 'node:crypto';
import { SpiffeError } from '../../../spiffe/error.ts';
import { STRONG_HASHES } from '../../../tpm/algorithms.ts';
import { MAX_EVENT_LOG_BYTES } from '../../../tpm/event-log/parse-event-log.ts';
import { formatEvidence } from '../../../tpm/evidence/evidence-file.ts';
import { MAX_IMA_LOG_BYTES } from '../../../tpm/ima/parse-ima-log.ts';
import type { PcrSelection } from '../../../tpm/pcr-selection.ts';
import { TpmDevice } from '../../../tpm-device/device.ts';
import { recordQuotes } from '../../../tpm-device/record-evidence.ts';
import { defineCommand } from '../../command.ts';
import { readNonce, readPcrIndex } from '../../evidence-flags.ts';
import { commaSeparated, oneOf, text, toggle } from '../../flag-kinds.ts';
import { formatHex, formatIndices } from '../../output.ts';
import { findInputBytes, readInputBytes } from '../../read-input-file.ts';
import { deviceFlag, deviceOf, isOfThisMachine } from '../../tpm-device-flag.ts';
import { writePrivateFile } from '../../written-files.ts';

/** What firmware, boot loaders and the kernel measure into. */
const DEFAULT_PCRS = Array.from({ length: 16 }, (_, index) => index);
const KERNEL_LOGS = {
  eventLog: '/sys/kernel/security/tpm0/binary_bios_measurements',
  imaLog: '/sys/kernel/security/ima/binary_runtime_measurements',
  commandLine: '/proc/cmdline',
} as const;
const MAX_COMMAND_LINE_BYTES = 64 * 1024;

export const tpmQuote = defineCommand({
  summary: 'Record evidence: keys and certificates, a quote of PCRs, and the logs that explain them',
  flags: {
    device: deviceFlag,
    write: text('File for the evidence; standard output without it', 'FILE'),
    nonce: text('Qualifying data of the quote, 16 to 64 bytes in hex; made by default', 'HEX'),
    pcrs: commaSeparated('PCRs to quote; 0 to 15 by default', 'NUMBERS'),
    banks: commaSeparated('Banks to quote; by default all of sha256, sha384 and sha512 that the TPM has', 'BANKS'),
    ek: oneOf('Endorsement key', ['auto', 'rsa-2048', 'ec-p256', 'ec-p384']),
    ak: oneOf('Attestation key, which is made for this', ['ec-p256', 'rsa-2048']),
    endorsementAuthPath: text('File with the password of the endorsement hierarchy', 'FILE'),
    eventLog: text("Event log; the kernel's by default, for a TPM of this machine", 'FILE'),
    imaLog: text("IMA log; the kernel's by default, where it has one", 'FILE'),
    commandLine: text('Command line of the kernel; by default /proc/cmdline', 'FILE'),
    noLogs: toggle('Leave out the logs of the kernel that no flag names'),
  },
  run: async (flags, terminal) => {
    const device = deviceOf(flags.device, terminal);
    const nonce = readNonce(flags.nonce) ?? randomBytes(32);
    const pcrs = readIndices(flags.pcrs);
    const fromKernel = isOfThisMachine(device) && !flags.noLogs;
    const read = (name: keyof typeof KERNEL_LOGS, maxBytes: number) =>
      readLog(flags[name], fromKernel ? KERNEL_LOGS[name] : undefined, maxBytes);
    const eventLog = await read('eventLog', MAX_EVENT_LOG_BYTES);
    const commandLine = await read('commandLine', MAX_COMMAND_LINE_BYTES);
    await using tpm = await TpmDevice.open(device);
    const recorded = await recordQuotes(tpm, {
      ek: flags.ek,
      ak: flags.ak === 'ec-p256' ? 'ecc-p256' : 'rsa-2048',
      endorsementAuthPath: flags.endorsementAuthPath === '' ? undefined : flags.endorsementAuthPath,
      nonce,
      banks: selectBanks(await tpm.readPcrBanks(), flags.banks),
      pcrs,
    });
    const imaLog = await read('imaLog', MAX_IMA_LOG_BYTES); // it goes on: what was quoted is in it by now
    const evidence = formatEvidence({
      ...recorded,
      eventLog,
      imaLog,
      commandLine: commandLine?.toString('utf8').replace(/\n$/, ''),
    });
    if (flags.write === '') {
      terminal.print(evidence);
      return;
    }
    await writePrivateFile(flags.write, evidence);
    const banks = recorded.quotes.map(({ bank }) => bank).join(', ');
    const logs = [eventLog && 'the event log', imaLog && 'the IMA log'].filter((log) => log !== undefined);
    terminal.print(
      `${flags.write}: a quote of PCR ${formatIndices(pcrs)} in ${banks} with the nonce ${formatHex(nonce)}, ` +
        `${logs.join(' and ') || 'without logs'}\n`,
    );
  },
});

function readIndices(given: readonly string[]): readonly number[] {
  if (given.length === 0) return DEFAULT_PCRS;
  return [...new Set(given.map(readPcrIndex))].toSorted((a, b) => a - b);
}

/** SHA-1 proves nothing, and SM3 is not replayed. */
function selectBanks(allocated: readonly PcrSelection[], wanted: readonly string[]) {
  const strong = STRONG_HASHES.filter((name) => allocated.some(({ bank }) => bank === name));
  if (strong.length === 0) {
    throw new SpiffeError('TPM_UNAVAILABLE', 'the TPM has allocated none of the banks sha256, sha384 and sha512');
  }
  if (wanted.length === 0) return strong;
  return wanted.map((name) => {
    const found = strong.find((bank) => bank === name);
    if (found !== undefined) return found;
    const has = strong.join(', ');
    throw new SpiffeError('ARGUMENT_INVALID', `-banks: ${JSON.stringify(name)} cannot be quoted, this TPM has ${has}`);
  });
}

/** @param fallback where the kernel would have it: it may have none */
async function readLog(given: string, fallback: string | undefined, maxBytes: number): Promise<Buffer | undefined> {
  if (given !== '') return await readInputBytes(given, maxBytes);
  return fallback === undefined ? undefined : await findInputBytes(fallback, maxBytes);
}

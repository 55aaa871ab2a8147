import { SpiffeError } from '../spiffe/error.ts';
import { TPM_HASHES } from '../tpm/algorithms.ts';
import { BOOT_PCRS, isReplayedBank, type ReplayedBank } from '../tpm/event-log/replay.ts';

/** Values of PCRs by bank and index. */
export type PcrValues = ReadonlyMap<ReplayedBank, ReadonlyMap<number, Uint8Array>>;

/**
 * Reads lines of bank, index and value in hex: `sha256 7 65CA…`. Each bank has all PCRs that a boot measures into.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` with the line's number
 */
export function parsePcrFile(text: string): PcrValues {
  const banks = new Map<ReplayedBank, Map<number, Uint8Array>>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const { bank, pcr, value } = parseLine(line.trim(), index + 1);
    const values = banks.get(bank) ?? new Map<number, Uint8Array>();
    if (values.has(pcr)) throw invalid(index + 1, `PCR ${pcr} of bank ${bank} is there a second time`);
    banks.set(bank, values.set(pcr, value));
  }
  if (banks.size === 0) throw new SpiffeError('ARGUMENT_INVALID', 'the PCR file is empty');
  for (const [bank, values] of banks) {
    const missing = BOOT_PCRS.filter((pcr) => !values.has(pcr));
    if (missing.length > 0) {
      const names = missing.join(', ');
      throw new SpiffeError('ARGUMENT_INVALID', `the PCR file has no value of PCR ${names} in bank ${bank}`);
    }
  }
  return banks;
}

function parseLine(line: string, number: number) {
  const [bank = '', index = '', hex = '', ...more] = line.split(/\s+/);
  if (!isReplayedBank(bank)) throw invalid(number, 'it does not begin with a bank: sha1, sha256, sha384 or sha512');
  if (!/^(?:1?\d|2[0-3])$/.test(index)) throw invalid(number, 'its second word is no PCR from 0 to 23');
  const digits = TPM_HASHES[bank].size * 2;
  if (!/^[0-9a-fA-F]*$/.test(hex) || hex.length !== digits || more.length > 0) {
    throw invalid(number, `it does not end with ${digits} hexadecimal digits`);
  }
  return { bank, pcr: Number(index), value: new Uint8Array(Buffer.from(hex, 'hex')) };
}

function invalid(number: number, reason: string): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', `line ${number} of the PCR file: ${reason}`);
}

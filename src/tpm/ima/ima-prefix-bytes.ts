import { LogReader } from '../log-reader.ts';

/** PCR and template digest. */
const HEAD_BYTES = 4 + 20;
const SHA1_BYTES = 20;
/** The oldest template says how long its data is in its own way. */
const LEGACY_TEMPLATE = 'ima';

/**
 * How many bytes the first entries of a log have.
 *
 * @param log that has been parsed, or a part of one from the beginning of an entry on
 * @throws SpiffeError `ATTESTATION_DENIED` (D26) where it has fewer entries
 */
export function imaPrefixBytes(log: Uint8Array, entryCount: number): number {
  const reader = new LogReader(log, 'the IMA log');
  for (let count = 0; count < entryCount; count++) {
    reader.take(HEAD_BYTES);
    const template = Buffer.from(reader.take(reader.u32())).toString('latin1');
    if (template === LEGACY_TEMPLATE) reader.take(SHA1_BYTES);
    reader.take(reader.u32());
  }
  return log.length - reader.remaining;
}

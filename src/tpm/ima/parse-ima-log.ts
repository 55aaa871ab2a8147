import { hash } from 'node:crypto';
import { requireCheck } from '../../x509/require-check.ts';
import { LogReader } from '../log-reader.ts';

/** One measurement of the kernel. Nothing of it is proven before it is replayed. */
export interface ImaEntry {
  /** From 0: the first is `boot_aggregate`. */
  readonly number: number;
  /** 10, unless the kernel was told otherwise. */
  readonly pcr: number;
  /** SHA-1 of what was measured, or zeros for a violation. */
  readonly templateDigest: Uint8Array;
  /** Such as `ima-ng`. The name is not measured, the data is. */
  readonly template: string;
  /** The bytes that every bank's hash is of. */
  readonly templateData: Uint8Array;
  /** Whether the file was open for writing while it was measured, so that its digest says nothing. */
  readonly isViolation: boolean;
}

/** A hundred thousand entries have 10 to 30 MiB. */
export const MAX_IMA_LOG_BYTES = 64 * 1024 * 1024;
const MAX_ENTRIES = 500_000;
const MAX_TEMPLATE_NAME_BYTES = 64;
const MAX_TEMPLATE_BYTES = 1024 * 1024;
const SHA1_BYTES = 20;
/** The oldest template says how long its data is in its own way. */
const LEGACY_TEMPLATE = 'ima';
const LEGACY_NAME_BYTES = 256;

/**
 * Reads a log as `/sys/kernel/security/ima/binary_runtime_measurements` has it on a little-endian machine.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (D26 for lengths, E35, E36, E37)
 * @see Linux, Documentation/security/IMA-templates.rst and security/integrity/ima/ima_fs.c by what it writes
 */
export function parseImaLog(bytes: Uint8Array): readonly ImaEntry[] {
  return [...readImaEntries(bytes)];
}

/** The same, one after the other. */
export function* readImaEntries(bytes: Uint8Array): Generator<ImaEntry, void> {
  requireCheck(
    'E37',
    bytes.length <= MAX_IMA_LOG_BYTES,
    `the IMA log has ${bytes.length} bytes, at most ${MAX_IMA_LOG_BYTES} are read`,
  );
  const reader = new LogReader(bytes, 'the IMA log');
  for (let number = 0; reader.remaining > 0; number++) {
    requireCheck('E37', number < MAX_ENTRIES, `the IMA log has more than ${MAX_ENTRIES} entries`);
    yield readEntry(reader, number);
  }
}

function readEntry(reader: LogReader, number: number): ImaEntry {
  const pcr = reader.u32();
  const templateDigest = reader.take(SHA1_BYTES);
  const nameLength = reader.u32();
  requireCheck(
    'E37',
    nameLength > 0 && nameLength <= MAX_TEMPLATE_NAME_BYTES,
    `IMA entry ${number} has a template name of ${nameLength} bytes, 1 to ${MAX_TEMPLATE_NAME_BYTES} are allowed`,
  );
  const template = Buffer.from(reader.take(nameLength)).toString('latin1');
  requireCheck('E37', /^[a-z0-9|-]+$/.test(template), `IMA entry ${number} has a template name that is none`);
  const templateData = template === LEGACY_TEMPLATE ? readLegacy(reader, number) : readSized(reader, number);
  const isViolation = templateDigest[0] === 0 && templateDigest.every((byte) => byte === 0);
  requireCheck(
    'E35',
    isViolation || Buffer.compare(hash('sha1', templateData, 'buffer'), templateDigest) === 0,
    `IMA entry ${number} has a template digest that is not of its data`,
  );
  return { number, pcr, templateDigest, template, templateData, isViolation };
}

function readSized(reader: LogReader, number: number): Uint8Array {
  const length = reader.u32();
  requireCheck(
    'E37',
    length <= MAX_TEMPLATE_BYTES,
    `IMA entry ${number} has ${length} bytes of data, at most ${MAX_TEMPLATE_BYTES} are read`,
  );
  return reader.take(length);
}

/** What is hashed is the digest and the name, filled up with zeros. */
function readLegacy(reader: LogReader, number: number): Uint8Array {
  const digest = reader.take(SHA1_BYTES);
  const length = reader.u32();
  requireCheck(
    'E37',
    length < LEGACY_NAME_BYTES,
    `IMA entry ${number} has a name of ${length} bytes, at most ${LEGACY_NAME_BYTES - 1} are allowed`,
  );
  const data = new Uint8Array(SHA1_BYTES + LEGACY_NAME_BYTES);
  data.set(digest);
  data.set(reader.take(length), SHA1_BYTES);
  return data;
}

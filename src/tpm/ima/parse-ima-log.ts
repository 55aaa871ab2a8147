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

/** The same as it stands in a log: of a hundred thousand, each allocation counts. */
export interface ImaRecord extends Omit<ImaEntry, 'templateDigest'> {
  /** Of the template digest, in bytes from the beginning of the log. */
  readonly templateDigestAt: number;
  /** Where the next entry begins. */
  readonly end: number;
  readonly templateData: Buffer;
}

/** A hundred thousand entries have 10 to 30 MiB. */
export const MAX_IMA_LOG_BYTES = 64 * 1024 * 1024;
const MAX_ENTRIES = 500_000;
const MAX_TEMPLATE_NAME_BYTES = 64;
const MAX_TEMPLATE_BYTES = 1024 * 1024;
const SHA1_BYTES = 20;
/** In place of a digest. Digests are compared as texts of a byte a character, which Node makes in half the time of a Buffer. */
const VIOLATION = '\0'.repeat(SHA1_BYTES);
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
  return Array.from(readImaRecords(bytes), ({ templateDigestAt: at, end: _end, ...record }) => ({
    ...record,
    templateDigest: bytes.subarray(at, at + SHA1_BYTES),
  }));
}

/** Reads the entries one after the other; otherwise as {@link parseImaLog}. */
export function* readImaRecords(bytes: Uint8Array): Generator<ImaRecord, void> {
  requireCheck(
    'E37',
    bytes.length <= MAX_IMA_LOG_BYTES,
    `the IMA log has ${bytes.length} bytes, at most ${MAX_IMA_LOG_BYTES} are read`,
  );
  const log = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const reader = new LogReader(log, 'the IMA log');
  for (let number = 0; reader.remaining > 0; number++) {
    if (number >= MAX_ENTRIES) requireCheck('E37', false, `the IMA log has more than ${MAX_ENTRIES} entries`);
    yield readRecord(log, reader, number);
  }
}

/** There may be hundreds of thousands: what a refusal says is written for a refusal alone. */
function readRecord(log: Buffer, reader: LogReader, number: number): ImaRecord {
  const pcr = reader.u32();
  const templateDigestAt = reader.skip(SHA1_BYTES);
  const nameLength = reader.u32();
  if (nameLength === 0 || nameLength > MAX_TEMPLATE_NAME_BYTES) {
    requireCheck(
      'E37',
      false,
      `IMA entry ${number} has a template name of ${nameLength} bytes, 1 to ${MAX_TEMPLATE_NAME_BYTES} are allowed`,
    );
  }
  const nameAt = reader.skip(nameLength);
  const template = log.toString('latin1', nameAt, nameAt + nameLength);
  if (!/^[a-z0-9|-]+$/.test(template))
    requireCheck('E37', false, `IMA entry ${number} has a template name that is none`);
  const templateData = template === LEGACY_TEMPLATE ? readLegacy(reader, number) : readSized(log, reader, number);
  const templateDigest = log.toString('latin1', templateDigestAt, templateDigestAt + SHA1_BYTES);
  const isViolation = templateDigest === VIOLATION;
  if (!isViolation && hash('sha1', templateData, 'binary') !== templateDigest) {
    requireCheck('E35', false, `IMA entry ${number} has a template digest that is not of its data`);
  }
  return { number, pcr, template, templateData, templateDigestAt, end: reader.offset, isViolation };
}

function readSized(log: Buffer, reader: LogReader, number: number): Buffer {
  const length = reader.u32();
  if (length > MAX_TEMPLATE_BYTES) {
    requireCheck(
      'E37',
      false,
      `IMA entry ${number} has ${length} bytes of data, at most ${MAX_TEMPLATE_BYTES} are read`,
    );
  }
  const start = reader.skip(length);
  return log.subarray(start, start + length);
}

/** What is hashed is the digest and the name, filled up with zeros. */
function readLegacy(reader: LogReader, number: number): Buffer {
  const digest = reader.take(SHA1_BYTES);
  const length = reader.u32();
  if (length >= LEGACY_NAME_BYTES) {
    requireCheck(
      'E37',
      false,
      `IMA entry ${number} has a name of ${length} bytes, at most ${LEGACY_NAME_BYTES - 1} are allowed`,
    );
  }
  const data = Buffer.alloc(SHA1_BYTES + LEGACY_NAME_BYTES);
  data.set(digest);
  data.set(reader.take(length), SHA1_BYTES);
  return data;
}

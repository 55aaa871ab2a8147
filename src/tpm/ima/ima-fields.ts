import { requireCheck } from '../../x509/require-check.ts';
import { LogReader } from '../log-reader.ts';
import type { ImaEntry } from './parse-ima-log.ts';

/** What an entry of a known template says. */
export interface ImaFields {
  /** Such as `sha256`; the digest of the contents of the file. */
  readonly algorithm: string;
  readonly digest: Uint8Array;
  /** `ima` or, of a file with fs-verity, `verity`. */
  readonly digestType: string;
  /** The path, or what else was measured, such as `boot_aggregate`. */
  readonly name: string;
  /** Of `security.ima`, empty where the file has none. Undefined where the template has no signatures. */
  readonly signature: Uint8Array | undefined;
  /** Of `ima-buf`. */
  readonly buffer: Uint8Array | undefined;
}

type Field = 'd' | 'd-ng' | 'd-ngv2' | 'n' | 'n-ng' | 'sig' | 'buf';

/** Other templates replay, and say nothing. */
const TEMPLATES: ReadonlyMap<string, readonly Field[]> = new Map<string, readonly Field[]>([
  ['ima', ['d', 'n']],
  ['ima-ng', ['d-ng', 'n-ng']],
  ['ima-sig', ['d-ng', 'n-ng', 'sig']],
  ['ima-ngv2', ['d-ngv2', 'n-ng']],
  ['ima-sigv2', ['d-ngv2', 'n-ng', 'sig']],
  ['ima-buf', ['d-ng', 'n-ng', 'buf']],
]);
const SHA1_BYTES = 20;
/** Of the hashes that are known; others may have any length. */
export const DIGEST_BYTES: ReadonlyMap<string, number> = new Map([
  ['md5', 16],
  ['sha1', 20],
  ['sha256', 32],
  ['sha384', 48],
  ['sha512', 64],
]);

/**
 * @returns undefined for an unknown template.
 * @throws SpiffeError `ATTESTATION_DENIED` (D26, E37) where the data is not what its template has
 */
export function imaFieldsOf({
  number,
  template,
  templateData,
}: Pick<ImaEntry, 'number' | 'template' | 'templateData'>): ImaFields | undefined {
  const fields = TEMPLATES.get(template);
  if (fields === undefined) return undefined;
  const reader = new LogReader(templateData, `IMA entry ${number}`);
  const values = new Map<Field, Uint8Array>();
  for (const field of fields) values.set(field, readField(reader, field));
  requireCheck('E37', reader.remaining === 0, `IMA entry ${number} has ${reader.remaining} bytes behind its fields`);
  const name = values.get('n-ng') ?? values.get('n') ?? new Uint8Array();
  const legacy = values.get('d');
  return {
    ...(legacy === undefined
      ? readDigest(values.get('d-ng') ?? values.get('d-ngv2') ?? new Uint8Array(), values.has('d-ngv2'), number)
      : { algorithm: 'sha1', digest: legacy, digestType: 'ima' }),
    name: readName(name, values.has('n'), number),
    signature: values.get('sig'),
    buffer: values.get('buf'),
  };
}

/** Each field has its length before it, but those of the oldest template. */
function readField(reader: LogReader, field: Field): Uint8Array {
  if (field === 'd') return reader.take(SHA1_BYTES);
  if (field === 'n') return reader.take(reader.remaining);
  return reader.take(reader.u32());
}

/** `sha256:` NUL digest; of the second version `ima:sha256:` NUL digest. */
function readDigest(field: Uint8Array, isTyped: boolean, number: number) {
  const end = field.indexOf(0);
  const words = Buffer.from(field.subarray(0, Math.max(end, 0))).toString('latin1');
  const [, digestType = 'ima', algorithm = ''] =
    (isTyped ? /^([a-z]+):([a-z0-9-]+):$/ : /^()([a-z0-9-]+):$/).exec(words) ?? [];
  requireCheck('E37', algorithm !== '', `IMA entry ${number} names no hash algorithm for its digest`);
  const digest = field.subarray(end + 1);
  const size = DIGEST_BYTES.get(algorithm) ?? digest.length;
  requireCheck(
    'E37',
    digest.length === size,
    `IMA entry ${number} has ${digest.length} bytes by ${algorithm}, which has ${size}`,
  );
  return { algorithm, digest, digestType: digestType === '' ? 'ima' : digestType };
}

/** Ends with a NUL, and has no other. */
function readName(field: Uint8Array, isFilledUp: boolean, number: number): string {
  const end = field.indexOf(0);
  const isExact = isFilledUp ? field.subarray(end).every((byte) => byte === 0) : end === field.length - 1;
  requireCheck('E37', end > 0 && isExact, `IMA entry ${number} has a name that does not end with one NUL`);
  return Buffer.from(field.subarray(0, end)).toString('utf8');
}

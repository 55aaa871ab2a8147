import { DIGEST_BYTES } from './ima-fields.ts';

/**
 * What the entry of a file says, by which a list of allowed files is searched: its data as `ima-ng` has it, digest and name with
 * their lengths before them, a character a byte. So an entry needs no reading: the measured bytes are what is allowed, or are not.
 *
 * @param name path, without a NUL
 * @param digest `sha256:<hex>`
 * @returns undefined for what no entry that can be read says
 */
export function fileKey(name: string, digest: string): string | undefined {
  const [, verity = '', algorithm = '', hex = ''] = /^(verity:)?([a-z0-9-]+):((?:[0-9a-f]{2})*)$/.exec(digest) ?? [];
  const value = Buffer.from(hex, 'hex');
  const size = DIGEST_BYTES.get(algorithm) ?? value.length;
  const isName = name !== '' && !name.includes('\0') && name.isWellFormed();
  if (algorithm === '' || value.length !== size || !isName) return undefined;
  const key = Buffer.concat([...sized(`${algorithm}:\0`, value), ...sized(`${name}\0`)]);
  return `${verity}${key.toString('latin1')}`; // a length that begins so would be that of no entry
}

/**
 * The {@link fileKey} of an entry, by its bytes alone; undefined where it has to be read to tell.
 *
 * @param bytes in which its template data stands, from `start` to `end`
 */
export function findFileKey(template: string, bytes: Buffer, start: number, end: number): string | undefined {
  if (template !== 'ima-ng' && template !== 'ima-sig') return undefined;
  const digestEnd = fieldEnd(bytes, start, end);
  const nameEnd = digestEnd === undefined ? undefined : fieldEnd(bytes, digestEnd, end);
  const lastEnd = template === 'ima-ng' || nameEnd === undefined ? nameEnd : fieldEnd(bytes, nameEnd, end);
  return lastEnd === end ? bytes.toString('latin1', start, nameEnd) : undefined;
}

/** Of a field with its length before it; undefined where it does not fit. */
function fieldEnd(bytes: Buffer, start: number, end: number): number | undefined {
  if (start + LENGTH_BYTES > end) return undefined;
  const own = start + LENGTH_BYTES + bytes.readUInt32LE(start);
  return own > end ? undefined : own;
}

const LENGTH_BYTES = 4;

function sized(...parts: readonly (string | Buffer)[]): readonly Buffer[] {
  const bytes = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(bytes.length);
  return [length, bytes];
}

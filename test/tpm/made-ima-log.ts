import { createHash } from 'node:crypto';
import type { ImaEntry } from '../../src/tpm/ima/parse-ima-log.ts';
import { u32 } from './little-endian.ts';

/** A field with its length before it. */
export const field = (bytes: Uint8Array | string): Buffer =>
  Buffer.concat([u32(Buffer.from(bytes).length), Buffer.from(bytes)]);

/** `sha256:` NUL digest. */
export const digestField = (algorithm: string, digest: Uint8Array) =>
  Buffer.concat([Buffer.from(`${algorithm}:\0`), digest]);

export interface MadeEntry {
  readonly template?: string;
  readonly data: Uint8Array;
  readonly pcr?: number;
  /** In place of the data's. */
  readonly digest?: Uint8Array;
}

/** An entry as the kernel writes it; of the template `ima`, digest and name as they are. */
export function encodeEntry({ template = 'ima-ng', data, pcr = 10, digest }: MadeEntry): Buffer {
  const own = createHash('sha1').update(data).digest();
  const body = template === 'ima' ? data : field(data);
  return Buffer.concat([u32(pcr), digest ?? own, field(template), body]);
}

/** Entries that were read, and may have been changed since, as the kernel writes them. */
export function encodeEntries(entries: readonly ImaEntry[]): Buffer {
  return Buffer.concat(
    entries.map(({ pcr, template, templateData, templateDigest }) =>
      encodeEntry({ pcr, template, data: templateData, digest: templateDigest }),
    ),
  );
}

/** An `ima-ng` entry of a file. */
export function fileData(name: string, contents: string): Buffer {
  const digest = createHash('sha256').update(contents).digest();
  return Buffer.concat([field(digestField('sha256', digest)), field(`${name}\0`)]);
}

/** What PCR 10 is after entries whose hashes in the bank are these. */
export function extendAll(bank: string, digests: readonly Uint8Array[]): Uint8Array {
  const size = createHash(bank).digest().length;
  return digests.reduce<Uint8Array>(
    (value, digest) => createHash(bank).update(value).update(digest).digest(),
    Buffer.alloc(size),
  );
}

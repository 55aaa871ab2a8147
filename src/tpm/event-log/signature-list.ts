import { requireCheck } from '../../x509/require-check.ts';
import { LogReader } from '../log-reader.ts';
import { readGuid } from './uefi-variable.ts';

/** EFI_SIGNATURE_DATA with the type of its list. */
export interface SignatureEntry {
  readonly type: 'x509' | 'sha256' | 'other';
  /** GUID of who put it there. */
  readonly owner: string;
  /** A certificate in DER, or the hash of an image. */
  readonly data: Uint8Array;
}

const TYPES: ReadonlyMap<string, SignatureEntry['type']> = new Map([
  ['a5c059a1-94e4-4aa7-87b5-ab155c2bf072', 'x509'],
  ['c1c41626-504c-4092-aca9-41f936934328', 'sha256'],
]);
const HEADER_BYTES = 28;
/** The owner, before the data of each entry. */
export const SIGNATURE_OWNER_BYTES = 16;
const SHA256_BYTES = 32;

/**
 * The entries of a signature database such as `db` and `dbx`: lists one after the other, each divided without a rest.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (D26, D32)
 * @see UEFI 2.10, §32.4.1
 */
export function parseSignatureLists(bytes: Uint8Array, name: string): readonly SignatureEntry[] {
  const reader = new LogReader(bytes, `the signature database ${name}`);
  const entries: SignatureEntry[] = [];
  while (reader.remaining > 0) {
    const type = TYPES.get(readGuid(reader)) ?? 'other';
    const [listBytes, headerBytes, entryBytes] = [reader.u32(), reader.u32(), reader.u32()];
    const contentBytes = listBytes - HEADER_BYTES - headerBytes;
    requireCheck(
      'D32',
      contentBytes >= 0 && entryBytes > SIGNATURE_OWNER_BYTES && contentBytes % entryBytes === 0,
      `a list of ${name} has ${contentBytes} bytes, which are no whole number of signatures of ${entryBytes}`,
    );
    requireCheck(
      'D32',
      type !== 'sha256' || entryBytes === SIGNATURE_OWNER_BYTES + SHA256_BYTES,
      `a list of SHA-256 hashes in ${name} has signatures of ${entryBytes} bytes`,
    );
    reader.take(headerBytes);
    for (let count = contentBytes / entryBytes; count > 0; count--) {
      const owner = readGuid(reader);
      entries.push({ type, owner, data: reader.take(entryBytes - SIGNATURE_OWNER_BYTES) });
    }
  }
  return entries;
}

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { CacheKey } from './cache-key.ts';

const MAGIC = Buffer.from('ASYCACH2');
const SALT_BYTES = 32;
const FILE_ID_BYTES = 16;
const HEADER_BYTES = MAGIC.length + SALT_BYTES + FILE_ID_BYTES;
const LENGTH_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const RECORD_HEADER_BYTES = LENGTH_BYTES + NONCE_BYTES + TAG_BYTES;

/**
 * Texts one after the other, each encrypted with AES-256-GCM, so that one more is appended at the price of its own length.
 * Each is authenticated with the file's header and its place: none can be left out, moved, or come from another file. What
 * can be is that the last ones are missing, as after a crash.
 *
 * `magic (8) ‖ salt (32) ‖ file id (16)`, then records: `length of what follows (4) ‖ nonce (12) ‖ tag (16) ‖ ciphertext`.
 */
export class EncryptedRecords {
  readonly #header: Buffer;
  readonly #key: CacheKey;
  #count = 0;

  /** A new file, of which nothing is written yet. */
  constructor(key: CacheKey) {
    this.#key = key;
    this.#header = Buffer.concat([MAGIC, key.salt, randomBytes(FILE_ID_BYTES)]);
  }

  /** The bytes of the next record, with the header before the first. */
  next(text: string): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key.key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(placeOf(this.#header, this.#count));
    const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32BE(NONCE_BYTES + TAG_BYTES + ciphertext.length);
    const before = this.#count === 0 ? [this.#header] : [];
    this.#count += 1;
    return Buffer.concat([...before, length, nonce, cipher.getAuthTag(), ciphertext]);
  }
}

/** What the key of a file was made from. @throws Error for what is no such file. */
export function saltOf(file: Uint8Array): Uint8Array {
  if (file.length < HEADER_BYTES || Buffer.compare(file.subarray(0, MAGIC.length), MAGIC) !== 0) {
    throw new Error('it is damaged or of another version');
  }
  return Uint8Array.from(file.subarray(MAGIC.length, MAGIC.length + SALT_BYTES)); // the file is not kept for it
}

export interface DecryptedRecords {
  readonly texts: readonly string[];
  /** Whether the file goes on with what is no record: the last one was not written to its end. */
  readonly isCutOff: boolean;
}

/** @throws Error where not even the first one can be decrypted. */
export function decryptRecords(file: Uint8Array, key: Uint8Array): DecryptedRecords {
  const header = file.subarray(0, HEADER_BYTES);
  const texts: string[] = [];
  let rest = Buffer.from(file.buffer, file.byteOffset, file.byteLength).subarray(HEADER_BYTES);
  while (rest.length > 0) {
    const end = rest.length < RECORD_HEADER_BYTES ? Number.POSITIVE_INFINITY : LENGTH_BYTES + rest.readUInt32BE();
    if (end < RECORD_HEADER_BYTES || end > rest.length) break;
    try {
      texts.push(decrypt(rest.subarray(LENGTH_BYTES, end), placeOf(header, texts.length), key));
    } catch (error) {
      if (texts.length === 0) throw error;
      break;
    }
    rest = rest.subarray(end);
  }
  if (texts.length === 0) throw new Error('it has no content');
  return { texts, isCutOff: rest.length > 0 };
}

function decrypt(record: Uint8Array, place: Uint8Array, key: Uint8Array): string {
  const nonce = record.subarray(0, NONCE_BYTES);
  const tag = record.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(place);
  decipher.setAuthTag(tag);
  const ciphertext = record.subarray(NONCE_BYTES + TAG_BYTES);
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString('utf8');
}

function placeOf(header: Uint8Array, index: number): Uint8Array {
  const place = Buffer.alloc(header.length + 4);
  place.set(header);
  place.writeUInt32BE(index, header.length);
  return place;
}

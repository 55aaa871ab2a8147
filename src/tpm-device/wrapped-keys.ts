import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SpiffeError } from '../spiffe/error.ts';
import { type PublicArea, parsePublic } from '../tpm/public-area.ts';
import { spkiOfPublicArea } from '../tpm/public-key.ts';
import type { KeyType } from '../x509/signer.ts';
import { keyTypeOfSpki } from '../x509/spki.ts';
import type { NativeWrappedKey } from './native-tpm.ts';

/** A key that one TPM alone can load. */
export interface WrappedKey extends NativeWrappedKey {
  readonly id: string;
  readonly area: PublicArea;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly keyType: KeyType;
}

/** What the file holds. */
export interface WrappedKeys {
  /** Name of the storage key that wraps them all. */
  readonly parentName: Uint8Array;
  readonly keys: readonly WrappedKey[];
}

const FILE_NAME = 'tpm-keys.json';
const FORMAT = 'assayer-tpm-keys-1';
/** A key manager has a handful of keys; this file would hold hundreds. */
const MAX_FILE_BYTES = 1024 * 1024;
const bytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));

const schema = z.strictObject({
  format: z.literal(FORMAT),
  parent: bytes,
  keys: z.array(z.strictObject({ id: z.string().min(1), public: bytes, private: bytes })),
});

/** @param keysPath a folder */
export function wrappedKeysFile(keysPath: string): string {
  return join(keysPath, FILE_NAME);
}

/** @throws SpiffeError `TPM_DATA_INVALID` where the public area is none. */
export function toWrappedKey(id: string, { publicArea, privateArea }: NativeWrappedKey): WrappedKey {
  const area = parsePublic(publicArea);
  const publicKey = spkiOfPublicArea(area);
  return { id, publicArea, privateArea, area, publicKey, keyType: keyTypeOfSpki(publicKey) };
}

/**
 * Reads what {@link formatWrappedKeys} wrote.
 *
 * @returns undefined where there is none yet
 * @throws SpiffeError `FILE_UNUSABLE`, with what to do
 */
export async function readWrappedKeys(keysPath: string): Promise<WrappedKeys | undefined> {
  const path = wrappedKeysFile(keysPath);
  const text = await readPrivate(path);
  if (text === undefined) return undefined;
  try {
    const { parent, keys } = schema.parse(JSON.parse(text));
    const wrapped = keys.map((key) => toWrappedKey(key.id, { publicArea: key.public, privateArea: key.private }));
    if (new Set(wrapped.map(({ id }) => id)).size < wrapped.length) throw new Error('one id stands in it twice');
    return { parentName: parent, keys: wrapped };
  } catch (cause) {
    throw new SpiffeError(
      'FILE_UNUSABLE',
      `the key file "${path}" is damaged or of a newer version: restore it, or remove it to start with new keys`,
      { cause },
    );
  }
}

export function formatWrappedKeys({ parentName, keys }: WrappedKeys): string {
  const content: z.input<typeof schema> = {
    format: FORMAT,
    parent: toBase64(parentName),
    keys: keys.map(({ id, publicArea, privateArea }) => ({
      id,
      public: toBase64(publicArea),
      private: toBase64(privateArea),
    })),
  };
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

async function readPrivate(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path, 'r');
    const { mode, size } = await file.stat();
    if ((mode & 0o077) !== 0) {
      throw new SpiffeError('FILE_UNUSABLE', `the key file "${path}" can be read by others: run chmod 600 on it`);
    }
    if (size > MAX_FILE_BYTES) {
      throw new SpiffeError('FILE_UNUSABLE', `the key file "${path}" is larger than ${MAX_FILE_BYTES} bytes`);
    }
    return await file.readFile('utf8');
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new SpiffeError(
      'FILE_UNUSABLE',
      `cannot read the key file "${path}": "keys_path" names a folder that the key manager may write`,
      { cause },
    );
  }
}

function toBase64(content: Uint8Array): string {
  return Buffer.from(content).toString('base64');
}

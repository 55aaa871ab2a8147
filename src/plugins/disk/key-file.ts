import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { writeFileAtomically } from '../../files/write-file-atomically.ts';
import { SoftwareKey, SpiffeError } from '../../plugin-sdk/index.ts';

/** A key manager has a handful of keys; this file would hold hundreds. */
const MAX_FILE_BYTES = 1024 * 1024;
const FORMAT = 'assayer-keys-1';

const keyFileSchema = z.strictObject({
  format: z.literal(FORMAT),
  keys: z.array(z.strictObject({ id: z.string().min(1), pkcs8: z.base64() })),
});

/**
 * Reads what {@link writeKeyFile} wrote; a file that is not there has no keys.
 *
 * @throws SpiffeError `FILE_UNUSABLE`, with what to do; nothing is ever written over a file that was not understood.
 */
export async function readKeyFile(path: string): Promise<readonly SoftwareKey[]> {
  const text = await readPrivate(path);
  if (text === undefined) return [];
  return parseKeyFile(path, text).keys.map(({ id, pkcs8 }) => SoftwareKey.import(id, Buffer.from(pkcs8, 'base64')));
}

export async function writeKeyFile(path: string, keys: readonly SoftwareKey[]): Promise<void> {
  const entries = keys.map(({ record, pkcs8 }) => ({ id: record.id, pkcs8: Buffer.from(pkcs8).toString('base64') }));
  await writeFileAtomically(path, `${JSON.stringify({ format: FORMAT, keys: entries }, undefined, 2)}\n`, 0o600);
}

async function readPrivate(path: string): Promise<string | undefined> {
  try {
    const { mode, size } = await stat(path);
    if ((mode & 0o077) !== 0) {
      throw new SpiffeError('FILE_UNUSABLE', `the key file "${path}" can be read by others: run chmod 600 on it`);
    }
    if (size > MAX_FILE_BYTES)
      throw new SpiffeError('FILE_UNUSABLE', `the key file "${path}" is larger than ${MAX_FILE_BYTES} bytes`);
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new SpiffeError('FILE_UNUSABLE', `cannot read the key file "${path}"`, { cause });
  }
}

function parseKeyFile(path: string, text: string): z.infer<typeof keyFileSchema> {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new SpiffeError(
      'FILE_UNUSABLE',
      `the key file "${path}" is damaged: restore it, or remove it to start with new keys`,
      { cause },
    );
  }
  const result = keyFileSchema.safeParse(content);
  if (result.success) return result.data;
  if (isSpireKeyFile(content)) {
    throw new SpiffeError(
      'FILE_UNUSABLE',
      `the key file "${path}" was written by SPIRE, whose keys are not taken over: give Assayer a path of its own`,
    );
  }
  throw new SpiffeError(
    'FILE_UNUSABLE',
    `the key file "${path}" is damaged or of a newer version: restore it, or remove it to start with new keys`,
  );
}

/** SPIRE's disk key managers write `{"keys": {"<id>": "<base64>"}}`. */
function isSpireKeyFile(content: unknown): boolean {
  return z.looseObject({ keys: z.record(z.string(), z.string()) }).safeParse(content).success;
}

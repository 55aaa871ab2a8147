import { open } from 'node:fs/promises';
import { isMissingFile } from '../files/is-missing-file.ts';
import { isSpiffeError, messageOf, SpiffeError } from '../spiffe/error.ts';
import type { Terminal } from './terminal.ts';

/** More than any list of entries that one call of the API can carry. */
const MAX_BYTES = 64 * 1024 * 1024;

/** The text of a file, or of standard input for `-`. @throws SpiffeError `FILE_UNUSABLE`, `TOO_LARGE` */
export async function readInputFile(path: string, terminal: Terminal): Promise<string> {
  if (path === '-') return await terminal.readInput(MAX_BYTES);
  return (await readInputBytes(path, MAX_BYTES)).toString('utf8');
}

/** The contents of a file, also of one that the kernel makes as it is read. @throws SpiffeError `FILE_UNUSABLE`, `TOO_LARGE` */
export async function readInputBytes(path: string, maxBytes: number): Promise<Buffer> {
  try {
    await using file = await open(path, 'r');
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of file.createReadStream({ autoClose: false })) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > maxBytes) throw new SpiffeError('TOO_LARGE', `"${path}" has more than ${maxBytes} bytes`);
    }
    return Buffer.concat(chunks);
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    throw new SpiffeError('FILE_UNUSABLE', `"${path}" cannot be read: ${messageOf(cause)}`, { cause });
  }
}

/** The same; undefined where there is no such file. */
export async function findInputBytes(path: string, maxBytes: number): Promise<Buffer | undefined> {
  try {
    return await readInputBytes(path, maxBytes);
  } catch (error) {
    if (isSpiffeError(error, 'FILE_UNUSABLE') && isMissingFile(error.cause)) return undefined;
    throw error;
  }
}

/** @throws SpiffeError `ARGUMENT_INVALID` unless it is a JSON object */
export function parseJsonObject(json: string, source: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new SpiffeError('ARGUMENT_INVALID', `${source} is no JSON: ${reason.replaceAll('\n', ' ')}`, { cause });
  }
  if (!isObject(value)) throw new SpiffeError('ARGUMENT_INVALID', `${source} is no JSON object`);
  return value;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

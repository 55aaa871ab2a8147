import { open } from 'node:fs/promises';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import type { Terminal } from './terminal.ts';

/** More than any list of entries that one call of the API can carry. */
const MAX_BYTES = 64 * 1024 * 1024;

/** The text of a file, or of standard input for `-`. @throws SpiffeError `FILE_UNUSABLE`, `TOO_LARGE` */
export async function readInputFile(path: string, terminal: Terminal): Promise<string> {
  if (path === '-') return await terminal.readInput(MAX_BYTES);
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    if (size > MAX_BYTES) throw new SpiffeError('TOO_LARGE', `"${path}" has ${size} bytes: ${MAX_BYTES} at most`);
    return await file.readFile('utf8');
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    const reason = messageOf(cause);
    throw new SpiffeError('FILE_UNUSABLE', `"${path}" cannot be read: ${reason}`, { cause });
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

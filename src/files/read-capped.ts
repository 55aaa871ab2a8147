import { open } from 'node:fs/promises';
import { SpiffeError } from '../spiffe/error.ts';

const MAX_FILE_BYTES = 1024 * 1024;

/**
 * A small file that the configuration names by `key`.
 *
 * @throws SpiffeError `CONFIG_INVALID` where it cannot be read, or is larger than any such file is: 1 MiB
 */
export async function readCapped(key: string, path: string): Promise<Buffer> {
  try {
    await using file = await open(path, 'r');
    if (!(await file.stat()).isFile()) throw new SpiffeError('CONFIG_INVALID', `${key}: "${path}" is no file`);
    const content = Buffer.alloc(MAX_FILE_BYTES + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(content, length, content.length - length);
      length += bytesRead;
      if (bytesRead === 0 || length > MAX_FILE_BYTES) break;
    }
    if (length <= MAX_FILE_BYTES) return content.subarray(0, length);
    throw new SpiffeError('CONFIG_INVALID', `${key}: "${path}" is larger than ${MAX_FILE_BYTES} bytes`);
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'it is not readable';
    throw new SpiffeError('CONFIG_INVALID', `${key}: "${path}" cannot be read: ${reason}`, { cause });
  }
}

import { readFile } from 'node:fs/promises';
import { SpiffeError } from '../spiffe/error.ts';

const MAX_AUTH_BYTES = 64;

/**
 * Hands on what authorizes a hierarchy: a file's bytes without a line end, zeroed afterwards.
 *
 * @param setting names the file's key in errors
 * @throws SpiffeError `FILE_UNUSABLE`
 */
export async function useAuthorization(
  setting: string,
  path: string,
  use: (auth: Uint8Array) => Promise<void>,
): Promise<void> {
  const content = await readFile(path).catch((cause: unknown) => {
    throw new SpiffeError('FILE_UNUSABLE', `cannot read the file that "${setting}" names`, { cause });
  });
  try {
    const length = content.at(-1) === 0x0a ? content.length - 1 : content.length;
    if (length > MAX_AUTH_BYTES) {
      throw new SpiffeError(
        'FILE_UNUSABLE',
        `the file that "${setting}" names has ${length} bytes, a TPM takes at most ${MAX_AUTH_BYTES}`,
      );
    }
    await use(content.subarray(0, length));
  } finally {
    content.fill(0);
  }
}

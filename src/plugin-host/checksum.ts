import { createHash, timingSafeEqual } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import type { SocketFolder } from './socket-folder.ts';

/**
 * Compares the SHA-256 of a plugin's executable with `plugin_checksum`, and of no other bytes than those that run: a copy
 * that nobody else can change. What becomes of the original meanwhile does not matter. Its arguments are not covered.
 *
 * @param checksum 64 hexadecimal digits.
 * @returns the copy, for as long as the folder is there.
 * @throws SpiffeError `PLUGIN_NOT_LOADED`
 */
export async function takeChecked(path: string, checksum: string, folder: SocketFolder): Promise<string> {
  if (!/^[0-9A-Fa-f]{64}$/.test(checksum)) {
    refuse(`plugin_checksum ${quoteText(checksum)} is not a SHA-256 of 64 hexadecimal digits`);
  }
  const copy = await takeCopy(path, folder);
  const hash = createHash('sha256');
  await pipeline(createReadStream(copy), hash);
  const digest = hash.digest();
  if (timingSafeEqual(digest, Buffer.from(checksum, 'hex'))) return copy;
  refuse(
    `the SHA-256 of ${quoteText(path)} is ${digest.toString('hex')}, but plugin_checksum wants ${checksum.toLowerCase()}`,
  );
}

async function takeCopy(path: string, folder: SocketFolder): Promise<string> {
  try {
    if ((await stat(path)).isFile()) return await folder.takeIn(path); // a pipe would be read for ever
  } catch (cause) {
    const reason = messageOf(cause);
    refuse(`cannot copy ${quoteText(path)} to compare its checksum: ${reason}; check the path in plugin_cmd`, cause);
  }
  refuse(`${quoteText(path)} is not a file: check the path in plugin_cmd`);
}

function refuse(message: string, cause?: unknown): never {
  throw new SpiffeError('PLUGIN_NOT_LOADED', message, { cause });
}

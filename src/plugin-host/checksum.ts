import { createHash, timingSafeEqual } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';

/**
 * Compares the SHA-256 of a plugin's executable with `plugin_checksum`. Its arguments are not covered.
 *
 * @param checksum 64 hexadecimal digits.
 * @throws SpiffeError `PLUGIN_NOT_LOADED`
 */
export async function requireChecksum(path: string, checksum: string): Promise<void> {
  if (!/^[0-9A-Fa-f]{64}$/.test(checksum)) {
    throw new SpiffeError(
      'PLUGIN_NOT_LOADED',
      `plugin_checksum ${quoteText(checksum)} is not a SHA-256 of 64 hexadecimal digits`,
    );
  }
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  const digest = hash.digest();
  if (!timingSafeEqual(digest, Buffer.from(checksum, 'hex'))) {
    throw new SpiffeError(
      'PLUGIN_NOT_LOADED',
      `the SHA-256 of ${quoteText(path)} is ${digest.toString('hex')}, but plugin_checksum wants ${checksum.toLowerCase()}`,
    );
  }
}

import type { Readable } from 'node:stream';
import { MAX_HANDSHAKE_BYTES } from '../rpc/handshake.ts';
import { SpiffeError } from '../spiffe/error.ts';

const LINE_FEED = 0x0a;

/**
 * The first line of `stdout`, without its line feed. What comes later is read and dropped, so that a plugin which
 * prints never blocks.
 *
 * @returns undefined where the output ended before a line did.
 * @throws SpiffeError `PLUGIN_PROTOCOL` where the line is longer than a handshake can be.
 */
export function readFirstLine(stdout: Readable): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = () => {
      stdout.off('data', take);
      stdout.resume();
    };
    const take = (chunk: Buffer) => {
      const end = chunk.indexOf(LINE_FEED);
      const part = end === -1 ? chunk : chunk.subarray(0, end);
      size += part.length;
      if (size > MAX_HANDSHAKE_BYTES) {
        settle();
        const message = `its first line on stdout is longer than ${MAX_HANDSHAKE_BYTES} bytes, so it is no handshake`;
        reject(new SpiffeError('PLUGIN_PROTOCOL', message));
        return;
      }
      chunks.push(part);
      if (end === -1) return;
      settle();
      resolve(Buffer.concat(chunks).toString('utf8'));
    };
    stdout.on('data', take);
    stdout.once('end', () => resolve(undefined));
    stdout.once('error', () => resolve(undefined));
  });
}

import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SpiffeError } from 'assayer/plugin-sdk';

export const CHALLENGE_BYTES = 32;
const MIN_KEY_BYTES = 32;
const MAX_KEY_BYTES = 4096;

/** Starts with a letter or a digit: it is a file's name on the server, and the end of an agent's ID. */
export const NODE_NAME = /^[a-z0-9][a-z0-9.-]{0,62}$/;

/** What both halves compute: whoever has the key can, for this challenge and this node alone. */
export function proofOf(key: Uint8Array, node: string, challenge: Uint8Array): Buffer {
  return createHmac('sha256', key).update(challenge).update(node).digest();
}

/** @throws SpiffeError for a file that is not there, or no key */
export async function readKey(path: string): Promise<Uint8Array> {
  let key: Uint8Array;
  try {
    key = await readFile(path);
  } catch (cause) {
    throw new SpiffeError('FILE_UNUSABLE', 'the key of the node cannot be read', { cause });
  }
  if (key.length >= MIN_KEY_BYTES && key.length <= MAX_KEY_BYTES) return key;
  throw new SpiffeError(
    'FILE_UNUSABLE',
    `a key has ${MIN_KEY_BYTES} to ${MAX_KEY_BYTES} bytes, this one ${key.length}`,
  );
}

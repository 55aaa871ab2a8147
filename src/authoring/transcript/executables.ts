import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Executable } from './transcript.ts';

/** The files that a half is started with: its command, and those arguments that are files, such as a script. */
export async function findExecutables(command: string, args: readonly string[]): Promise<readonly Executable[]> {
  const found: Executable[] = [];
  for (const path of [command, ...args].map((name) => resolve(name))) {
    const facts = await stat(path).catch(() => undefined);
    if (facts?.isFile()) found.push({ name: basename(path), sha256: await checksumOf(path) });
  }
  return found;
}

/** Names of files that are not among the recorded ones. */
export function changedExecutables(recorded: readonly Executable[], now: readonly Executable[]): readonly string[] {
  const known = new Set(recorded.map(({ sha256 }) => sha256));
  return now.filter(({ sha256 }) => !known.has(sha256)).map(({ name }) => name);
}

async function checksumOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

import { constants } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { z } from 'zod';
import { writeFileAtomically } from './write-file-atomically.ts';

/** Why a program that served a socket is not there any more. */
export interface LastWords {
  readonly at: Date;
  readonly reason: string;
}

const MAX_BYTES = 16 * 1024;
const MAX_REASON_CHARACTERS = 4_000;
const MODE = 0o644;

const schema = z.strictObject({ at: z.iso.datetime(), reason: z.string().max(MAX_REASON_CHARACTERS + 1) });

/** Leaves them beside the socket, for whoever finds nobody there. Nothing in them may be secret. @throws SpiffeError `FILE_UNUSABLE` */
export async function leaveLastWords(socketPath: string, { at, reason }: LastWords): Promise<void> {
  const short = reason.length > MAX_REASON_CHARACTERS ? `${reason.slice(0, MAX_REASON_CHARACTERS)}…` : reason;
  const text = JSON.stringify({ at: at.toISOString(), reason: short });
  await writeFileAtomically(pathOf(socketPath), `${text}\n`, MODE);
}

/** For a program that serves the socket again. */
export async function forgetLastWords(socketPath: string): Promise<void> {
  await rm(pathOf(socketPath), { force: true });
}

/** Undefined where there are none, or what is there is something else. */
export async function findLastWords(socketPath: string): Promise<LastWords | undefined> {
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    await using file = await open(pathOf(socketPath), flags);
    const status = await file.stat();
    if (!status.isFile() || status.size > MAX_BYTES) return undefined;
    const { at, reason } = schema.parse(JSON.parse(await file.readFile('utf8')));
    return { at: new Date(at), reason };
  } catch {
    return undefined;
  }
}

function pathOf(socketPath: string): string {
  return `${socketPath}.ended`;
}

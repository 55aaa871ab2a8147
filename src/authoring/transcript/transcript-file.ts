import { isUtf8 } from 'node:buffer';
import { constants, createReadStream } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { writeFileAtomically } from '../../files/write-file-atomically.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import { TRANSCRIPT_LIMITS, type Transcript } from './transcript.ts';
import { decodeTranscript, encodeTranscript } from './transcript-schema.ts';

/** @throws SpiffeError `FILE_UNUSABLE`, `TOO_LARGE`, or `ARGUMENT_INVALID` with what is wrong with it */
export async function readTranscript(path: string): Promise<Transcript> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of createReadStream(path)) {
      const bytes = Buffer.from(chunk);
      length += bytes.length;
      if (length > TRANSCRIPT_LIMITS.fileBytes) {
        throw new SpiffeError('TOO_LARGE', `${quoteText(path)} is larger than ${TRANSCRIPT_LIMITS.fileBytes} bytes`);
      }
      chunks.push(bytes);
    }
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    throw unusable(`cannot read the transcript ${quoteText(path)}`, cause);
  }
  const content = Buffer.concat(chunks);
  if (!isUtf8(content)) throw new SpiffeError('ARGUMENT_INVALID', `${quoteText(path)} is not text in UTF-8`);
  return decodeTranscript(content.toString('utf8'));
}

/** Whole or not at all, for its owner alone. @throws SpiffeError `FILE_UNUSABLE`, `TOO_LARGE` */
export async function writeTranscript(path: string, transcript: Transcript): Promise<void> {
  const text = encodeTranscript(transcript);
  if (Buffer.byteLength(text) > TRANSCRIPT_LIMITS.fileBytes) {
    throw new SpiffeError('TOO_LARGE', `the transcript is larger than ${TRANSCRIPT_LIMITS.fileBytes} bytes`);
  }
  await writeFileAtomically(path, text, 0o600);
}

/** Tells before an attestation, which may have lasting effects, that its transcript could not be kept. @throws SpiffeError `FILE_UNUSABLE` */
export async function requireWritable(path: string): Promise<void> {
  try {
    await access(dirname(resolve(path)), constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw unusable(`cannot write the transcript ${quoteText(path)}`, cause);
  }
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && !found.isFile()) {
    throw new SpiffeError(
      'FILE_UNUSABLE',
      `cannot write the transcript ${quoteText(path)}: there is something that is no file`,
    );
  }
}

function unusable(what: string, cause: unknown): SpiffeError {
  const reason = messageOf(cause);
  return new SpiffeError('FILE_UNUSABLE', `${what}: ${reason}`, { cause });
}

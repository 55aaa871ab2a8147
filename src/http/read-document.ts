import type { ClientRequest, IncomingMessage } from 'node:http';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { answerTo, readBody } from './read-answer.ts';
import { shownUrl } from './shown-url.ts';

/** More than a bundle with a thousand authorities. */
const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;

/** For every request that {@link readDocument} is given: no more of headers than this, and one request a connection. */
export const DOCUMENT_REQUEST = {
  headers: { Accept: 'application/json, */*', Connection: 'close', 'User-Agent': 'assayer' },
  maxHeaderSize: 16 * 1024,
} as const;

export interface ReadDocumentOptions {
  /** Who is asked, for messages, such as `the bundle endpoint`. */
  readonly name: string;
  /** Where it is configured what is asked. */
  readonly setting: string;
  readonly signal: AbortSignal;
}

/**
 * Makes a request and reads what is answered. A redirect is not followed, wherever it leads: this program may reach what
 * whoever answers does not.
 *
 * @throws SpiffeError `BUNDLE_INVALID` for an answer that is none, `TOO_LARGE`, `SERVER_UNREACHABLE`
 */
export async function readDocument(start: () => ClientRequest, options: ReadDocumentOptions): Promise<string> {
  const { name, signal } = options;
  try {
    const response = await answerTo(start());
    requireOk(response, options);
    const tooLarge = () => new SpiffeError('TOO_LARGE', `${name} answered with more than ${MAX_DOCUMENT_BYTES} bytes`);
    return decodeUtf8(await readBody(response, MAX_DOCUMENT_BYTES, tooLarge), name);
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    const reason = signal.aborted ? 'it took too long' : messageOf(cause);
    throw new SpiffeError('SERVER_UNREACHABLE', `${name} did not answer: ${reason}`, { cause });
  }
}

function requireOk(
  { statusCode = 0, headers: { location } }: IncomingMessage,
  { name, setting }: ReadDocumentOptions,
): void {
  if (statusCode === 200) return;
  if (statusCode >= 300 && statusCode < 400 && location !== undefined) {
    throw new SpiffeError(
      'BUNDLE_INVALID',
      `${name} redirects (status ${statusCode}) to ${shownUrl(location)}, which is not followed: set ${setting} to where the bundle is`,
    );
  }
  throw new SpiffeError('BUNDLE_INVALID', `${name} answered with status ${statusCode}, not with a bundle`);
}

function decodeUtf8(bytes: Buffer, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new SpiffeError('BUNDLE_INVALID', `${name} answered with what is no UTF-8`, { cause });
  }
}

import type { ClientRequest, IncomingMessage } from 'node:http';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';

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
    const response = await send(start());
    requireOk(response, options);
    return decodeUtf8(await readBody(response, name), name);
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    const reason = signal.aborted ? 'it took too long' : cause instanceof Error ? cause.message : String(cause);
    throw new SpiffeError('SERVER_UNREACHABLE', `${name} did not answer: ${reason}`, { cause });
  }
}

function send(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
    request.end();
  });
}

function requireOk(
  { statusCode = 0, headers: { location } }: IncomingMessage,
  { name, setting }: ReadDocumentOptions,
): void {
  if (statusCode === 200) return;
  if (statusCode >= 300 && statusCode < 400 && location !== undefined) {
    throw new SpiffeError(
      'BUNDLE_INVALID',
      `${name} redirects (status ${statusCode}) to ${quoteText(location)}, which is not followed: set ${setting} to where the bundle is`,
    );
  }
  throw new SpiffeError('BUNDLE_INVALID', `${name} answered with status ${statusCode}, not with a bundle`);
}

async function readBody(response: IncomingMessage, name: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = Number(response.headers['content-length'] ?? 0);
  if (length > MAX_DOCUMENT_BYTES) throw tooLarge(response, name);
  length = 0;
  for await (const chunk of response) {
    length += chunk.length;
    if (length > MAX_DOCUMENT_BYTES) throw tooLarge(response, name);
    chunks.push(chunk);
  }
  if (!response.complete) throw new Error('the answer ended early');
  return Buffer.concat(chunks);
}

function tooLarge(response: IncomingMessage, name: string): SpiffeError {
  response.destroy();
  return new SpiffeError('TOO_LARGE', `${name} answered with more than ${MAX_DOCUMENT_BYTES} bytes`);
}

function decodeUtf8(bytes: Buffer, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new SpiffeError('BUNDLE_INVALID', `${name} answered with what is no UTF-8`, { cause });
  }
}

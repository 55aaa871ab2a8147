import { type IncomingMessage, request as startRequest } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';

/** More than a bundle with a thousand authorities. */
export const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;

/**
 * Asks for a document on a connection that is verified. A redirect is not followed, wherever it leads: this server may
 * reach what whoever answers does not.
 *
 * @throws SpiffeError `BUNDLE_INVALID` for an answer that is none, `TOO_LARGE`, `SERVER_UNREACHABLE`
 */
export async function readDocument(url: URL, socket: TLSSocket, signal: AbortSignal): Promise<string> {
  try {
    const response = await ask(url, socket, signal);
    requireOk(response);
    return decodeUtf8(await readBody(response));
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    const reason = signal.aborted ? 'it took too long' : cause instanceof Error ? cause.message : String(cause);
    throw new SpiffeError('SERVER_UNREACHABLE', `the bundle endpoint did not answer: ${reason}`, { cause });
  }
}

function ask(url: URL, socket: TLSSocket, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = startRequest({
      createConnection: () => socket,
      host: url.hostname,
      port: url.port === '' ? 443 : Number(url.port),
      defaultPort: 443,
      path: `${url.pathname}${url.search}`,
      headers: { Accept: 'application/json', Connection: 'close', 'User-Agent': 'assayer' },
      maxHeaderSize: MAX_HEADER_BYTES,
      signal,
    });
    request.once('response', resolve);
    request.once('error', reject);
    request.end();
  });
}

function requireOk({ statusCode = 0, headers: { location } }: IncomingMessage): void {
  if (statusCode === 200) return;
  if (statusCode >= 300 && statusCode < 400 && location !== undefined) {
    throw new SpiffeError(
      'BUNDLE_INVALID',
      `the bundle endpoint redirects (status ${statusCode}) to ${quoteText(location)}, which is not followed: set bundle_endpoint_url to where the bundle is`,
    );
  }
  throw new SpiffeError('BUNDLE_INVALID', `the bundle endpoint answered with status ${statusCode}, not with a bundle`);
}

async function readBody(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = Number(response.headers['content-length'] ?? 0);
  if (length > MAX_DOCUMENT_BYTES) throw tooLarge(response);
  length = 0;
  for await (const chunk of response) {
    length += chunk.length;
    if (length > MAX_DOCUMENT_BYTES) throw tooLarge(response);
    chunks.push(chunk);
  }
  if (!response.complete) throw new Error('the answer ended early');
  return Buffer.concat(chunks);
}

function tooLarge(response: IncomingMessage): SpiffeError {
  response.destroy();
  return new SpiffeError('TOO_LARGE', `the bundle endpoint answered with more than ${MAX_DOCUMENT_BYTES} bytes`);
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new SpiffeError('BUNDLE_INVALID', 'the bundle endpoint answered with what is no UTF-8', { cause });
  }
}

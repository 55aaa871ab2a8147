import { request as startHttp } from 'node:http';
import { Agent, request as startHttps } from 'node:https';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { answerTo, readBody } from './read-answer.ts';
import { shownUrl } from './shown-url.ts';
import { webRootsContext } from './web-roots.ts';

const MAX_HEADER_BYTES = 16 * 1024;

export interface WebRequest {
  /** Who is asked, for messages, such as `Google's list of keys`. */
  readonly name: string;
  /** `http:` or `https:`; whom `https:` trusts is as `webRootsContext` says. */
  readonly url: URL;
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Of the answer's body; no more is read. */
  readonly maxBytes: number;
  /** For all of it. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

export interface WebAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/**
 * One request on a connection of its own. A redirect is not followed, wherever it leads, and refused.
 *
 * @throws SpiffeError `UNAVAILABLE` where there is no answer in time, `TOO_LARGE`, `CANCELLED`, `FAILED_PRECONDITION` for a redirect
 */
export async function requestFromWeb(options: WebRequest): Promise<WebAnswer> {
  const { name, deadlineMs, signal } = options;
  const deadline = AbortSignal.timeout(deadlineMs);
  try {
    return await exchange(options, AbortSignal.any([signal, deadline]));
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    if (signal.aborted) throw new SpiffeError('CANCELLED', `${name} was not waited for`, { cause });
    const reason = deadline.aborted ? `it took longer than ${deadlineMs / 1000} s` : messageOf(cause);
    const where = shownUrl(options.url.href);
    throw new SpiffeError('UNAVAILABLE', `${name} at ${where} did not answer: ${reason}`, { cause });
  }
}

let agent: Agent | undefined;

/** Whom it trusts is read once. */
function secureAgent(): Agent {
  agent ??= new Agent({ secureContext: webRootsContext(), keepAlive: false, maxCachedSessions: 0 });
  return agent;
}

async function exchange(options: WebRequest, signal: AbortSignal): Promise<WebAnswer> {
  const { name, url, method = 'GET', body, maxBytes } = options;
  const common = {
    method,
    signal,
    maxHeaderSize: MAX_HEADER_BYTES,
    headers: {
      Connection: 'close',
      'User-Agent': 'assayer',
      ...options.headers,
      ...(body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }),
    },
  };
  const request =
    url.protocol === 'https:'
      ? startHttps(url, { ...common, agent: secureAgent() })
      : startHttp(url, { ...common, agent: false });
  if (body !== undefined) request.write(body);
  const response = await answerTo(request);
  const { statusCode: status = 0, headers } = response;
  if (status >= 300 && status < 400) {
    response.destroy();
    const target = headers.location === undefined ? 'elsewhere' : `to ${shownUrl(headers.location)}`;
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `${name} at ${shownUrl(url.href)} redirects ${target} (status ${status}), which is not followed`,
    );
  }
  const tooLarge = () => new SpiffeError('TOO_LARGE', `${name} answered with more than ${maxBytes} bytes`);
  return { status, headers, body: await readBody(response, maxBytes, tooLarge) };
}

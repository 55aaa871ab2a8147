import type { IncomingHttpHeaders } from 'node:http2';

/** Of the transport and of one call alone. */
const NOT_METADATA: ReadonlySet<string> = new Set([
  'grpc-timeout',
  'grpc-encoding',
  'grpc-accept-encoding',
  'accept-encoding',
  'te',
  'content-type',
]);

/**
 * The metadata that the headers of a call are.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md Custom-Metadata
 */
export class HeaderMetadata {
  readonly #headers: IncomingHttpHeaders;

  constructor(headers: IncomingHttpHeaders) {
    this.#headers = headers;
  }

  /** @param key in lower case. @returns bytes for one that ends in `-bin` */
  get(key: string): readonly (string | Uint8Array)[] {
    if (NOT_METADATA.has(key) || key.startsWith(':')) return [];
    const value = this.#headers[key];
    if (value === undefined) return [];
    const values = typeof value === 'string' ? [value] : value;
    if (!key.endsWith('-bin')) return values;
    return values.flatMap((text) => text.split(',').map((one) => Buffer.from(one.trim(), 'base64')));
  }
}

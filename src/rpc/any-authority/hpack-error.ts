import { Http2ConnectionError, Http2ErrorCode } from './http2-error.ts';

/** @see RFC 9113 §4.3: a block that cannot be decoded ends the connection. */
export function compressionError(message: string): Http2ConnectionError {
  return new Http2ConnectionError(Http2ErrorCode.Compression, message);
}

/** Error codes that a GOAWAY frame carries. @see RFC 9113 §7 */
export const Http2ErrorCode = {
  Protocol: 0x1,
  FrameSize: 0x6,
  Compression: 0x9,
  EnhanceYourCalm: 0xb,
} as const;
export type Http2ErrorCode = (typeof Http2ErrorCode)[keyof typeof Http2ErrorCode];

/** What a peer sent that ends its connection. @see RFC 9113 §5.4.1 */
export class Http2ConnectionError extends Error {
  override readonly name = 'Http2ConnectionError';
  readonly code: Http2ErrorCode;

  constructor(code: Http2ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

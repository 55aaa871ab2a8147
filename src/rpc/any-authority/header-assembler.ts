import { encodeFrame, Flag, type Frame, FrameType, MAX_FRAME_BYTES, protocolError } from './frames.ts';
import { HpackDecoder, MAX_HEADER_LIST_BYTES } from './hpack.ts';
import type { HeaderField } from './hpack-table.ts';
import { Http2ConnectionError, Http2ErrorCode } from './http2-error.ts';

const PRIORITY_BYTES = 5;

/** The fields of one HEADERS frame and the CONTINUATION frames behind it. */
export interface HeaderBlock {
  readonly streamId: number;
  readonly isEndOfStream: boolean;
  readonly fields: readonly HeaderField[];
}

/** Puts header blocks together and decodes them. To be given every frame of a connection, in order. */
export class HeaderAssembler {
  readonly #decoder = new HpackDecoder();
  #started: { readonly frame: Frame; readonly fragments: Buffer[]; bytes: number } | undefined;

  static isPartOfBlock({ type }: Frame): boolean {
    return type === FrameType.Headers || type === FrameType.Continuation;
  }

  /**
   * @returns the block that this frame completes; undefined for other frames.
   * @throws Http2ConnectionError for what RFC 9113 §6.2 and §6.10 forbid.
   */
  add(frame: Frame): HeaderBlock | undefined {
    const started = this.#started;
    if (started !== undefined) {
      if (frame.type !== FrameType.Continuation || frame.streamId !== started.frame.streamId) {
        throw protocolError('a header block is interrupted by another frame');
      }
      started.fragments.push(frame.payload);
      started.bytes += frame.payload.length;
      // Empty frames are counted too, by their overhead, or they would come for ever.
      if (started.bytes + started.fragments.length * PRIORITY_BYTES > MAX_HEADER_LIST_BYTES) {
        throw new Http2ConnectionError(Http2ErrorCode.EnhanceYourCalm, `headers exceed ${MAX_HEADER_LIST_BYTES} bytes`);
      }
    } else if (frame.type === FrameType.Headers) {
      if (frame.streamId === 0) throw protocolError('headers are for no stream');
      const fragment = fragmentOf(frame);
      this.#started = { frame, fragments: [fragment], bytes: fragment.length };
    } else if (frame.type === FrameType.Continuation) {
      throw protocolError('a header block is continued that has not begun');
    } else if (frame.type === FrameType.PushPromise) {
      throw protocolError('a client promises to push'); // RFC 9113 §8.4
    } else return undefined;
    return (frame.flags & Flag.EndHeaders) === 0 ? undefined : this.#finish();
  }

  #finish(): HeaderBlock | undefined {
    const started = this.#started;
    if (started === undefined) return undefined;
    this.#started = undefined;
    const { frame, fragments } = started;
    const block = fragments.length === 1 ? fragments[0] : undefined;
    const fields = this.#decoder.decode(block ?? Buffer.concat(fragments));
    return { streamId: frame.streamId, isEndOfStream: (frame.flags & Flag.EndStream) !== 0, fields };
  }
}

/** Without padding and priority, which RFC 9113 §5.3.2 deprecates. @see RFC 9113 §6.2 */
function fragmentOf({ flags, payload }: Frame): Buffer {
  const isPadded = (flags & Flag.Padded) !== 0;
  const padding = isPadded ? (payload[0] ?? payload.length) : 0;
  const start = (isPadded ? 1 : 0) + ((flags & Flag.Priority) === 0 ? 0 : PRIORITY_BYTES);
  const end = payload.length - padding;
  if (start > end) throw protocolError('the padding of a frame is longer than the frame');
  return payload.subarray(start, end);
}

/** As frames of a size that every receiver takes. @see RFC 9113 §4.2 and §6.10 */
export function encodeHeaderFrames({ streamId, isEndOfStream }: HeaderBlock, block: Buffer): readonly Buffer[] {
  const frames: Buffer[] = [];
  let at = 0;
  do {
    const fragment = block.subarray(at, at + MAX_FRAME_BYTES);
    const isFirst = at === 0;
    at += MAX_FRAME_BYTES;
    const flags = (at >= block.length ? Flag.EndHeaders : 0) | (isFirst && isEndOfStream ? Flag.EndStream : 0);
    frames.push(encodeFrame(isFirst ? FrameType.Headers : FrameType.Continuation, flags, streamId, fragment));
  } while (at < block.length);
  return frames;
}

/** A byte that tells whether the message is compressed, and four for its length. */
export const FRAME_HEADER_BYTES = 5;

/**
 * Messages in their frames, piece by piece as they come. What a frame announces is known before it is there, and takes
 * no memory before.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md Length-Prefixed-Message
 */
export class FrameBuffer {
  /** Holds what came, from `#start` to `#end`; the first piece itself, or a copy of all with room for more. */
  #bytes: Uint8Array = new Uint8Array(0);
  #start = 0;
  #end = 0;

  /** Of all that came and was not taken. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Of the first message, as its frame says; undefined until that is there. */
  get messageBytes(): number | undefined {
    if (this.length < FRAME_HEADER_BYTES) return undefined;
    const { buffer, byteOffset } = this.#bytes;
    return new DataView(buffer, byteOffset + this.#start).getUint32(1);
  }

  /** Whether the first message is there, to its end. */
  get hasMessage(): boolean {
    const { messageBytes } = this;
    return messageBytes !== undefined && this.length >= FRAME_HEADER_BYTES + messageBytes;
  }

  /** Whether the first message, which has begun, is not compressed. */
  get isPlain(): boolean {
    return this.#bytes[this.#start] === 0;
  }

  /** Pieces may be of one byte each: kept as they come they would take a hundred times their length. */
  push(piece: Uint8Array): void {
    const { length } = this;
    if (length === 0) {
      this.#bytes = piece;
      this.#start = 0;
      this.#end = piece.length;
      return;
    }
    if (this.#end + piece.length > this.#bytes.length) {
      const roomier = new Uint8Array(this.#roomFor(length + piece.length));
      roomier.set(this.#bytes.subarray(this.#start, this.#end));
      this.#bytes = roomier;
      this.#start = 0;
      this.#end = length;
    }
    this.#bytes.set(piece, this.#end);
    this.#end += piece.length;
  }

  /** Twice as much, so that pieces are seldom copied again, but for one long message no more than it takes. */
  #roomFor(bytes: number): number {
    const frameBytes = FRAME_HEADER_BYTES + (this.messageBytes ?? 0);
    return bytes < frameBytes ? Math.min(2 * bytes, frameBytes) : 2 * bytes;
  }

  /** The first message, which is there to its end. What comes later leaves its bytes as they are. */
  get message(): Uint8Array {
    const start = this.#start + FRAME_HEADER_BYTES;
    return this.#bytes.subarray(start, start + (this.messageBytes ?? 0));
  }

  /** Goes on to the next message. */
  take(): Uint8Array {
    const { message } = this;
    this.#start += FRAME_HEADER_BYTES + message.length;
    return message;
  }
}

/** A message's frame, not compressed. */
export function frameOf(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, FRAME_HEADER_BYTES);
  return frame;
}

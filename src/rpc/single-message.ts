const FRAME_HEADER_BYTES = 5;

export type MessageProblem = 'too long' | 'none' | 'cut off' | 'compressed' | 'more than one';

/**
 * The one message that a unary request or answer is, piece by piece as it comes. What is announced is refused before it
 * comes, and takes no memory before.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md Length-Prefixed-Message
 */
export class SingleMessage {
  readonly #maxBytes: number;
  /** Holds `#length` bytes of the frame; the first piece itself, or a copy of all with room for more. */
  #bytes: Uint8Array = new Uint8Array(0);
  #length = 0;

  /** @param maxBytes of the message; -1 for no limit */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @returns why no more of it is wanted, if so. */
  take(piece: Uint8Array): MessageProblem | undefined {
    const length = this.#length + piece.length;
    if (this.#length >= FRAME_HEADER_BYTES && length > this.#announced) return 'more than one';
    this.#append(piece, length);
    if (length < FRAME_HEADER_BYTES) return undefined;
    if (this.#maxBytes !== -1 && this.#announced - FRAME_HEADER_BYTES > this.#maxBytes) return 'too long';
    return length > this.#announced ? 'more than one' : undefined;
  }

  /** What came, once nothing more comes. */
  get message(): Uint8Array | MessageProblem {
    if (this.#length === 0) return 'none';
    if (this.#length < FRAME_HEADER_BYTES || this.#length < this.#announced) return 'cut off';
    return this.#bytes[0] === 0 ? this.#bytes.subarray(FRAME_HEADER_BYTES, this.#length) : 'compressed';
  }

  /** Of the whole frame, as its header says. */
  get #announced(): number {
    const { buffer, byteOffset } = this.#bytes;
    return FRAME_HEADER_BYTES + new DataView(buffer, byteOffset).getUint32(1);
  }

  /** Pieces may be of one byte each: kept as they come they would take a hundred times their length. */
  #append(piece: Uint8Array, length: number): void {
    if (this.#length === 0) {
      this.#bytes = piece;
    } else {
      if (length > this.#bytes.length) {
        const roomier = new Uint8Array(2 * length);
        roomier.set(this.#bytes.subarray(0, this.#length));
        this.#bytes = roomier;
      }
      this.#bytes.set(piece, this.#length);
    }
    this.#length = length;
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

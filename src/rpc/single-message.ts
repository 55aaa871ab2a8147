import { FRAME_HEADER_BYTES, FrameBuffer } from './frame-buffer.ts';

export type MessageProblem = 'too long' | 'none' | 'cut off' | 'compressed' | 'more than one';

/** The one message that a unary request or answer is, piece by piece as it comes. */
export class SingleMessage {
  readonly #maxBytes: number;
  readonly #frames = new FrameBuffer();

  /** @param maxBytes of the message; -1 for no limit */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @returns why no more of it is wanted, if so. */
  take(piece: Uint8Array): MessageProblem | undefined {
    const frames = this.#frames;
    if (frames.hasMessage && piece.length > 0) return 'more than one';
    frames.push(piece);
    const { messageBytes } = frames;
    if (messageBytes === undefined) return undefined;
    if (this.#maxBytes !== -1 && messageBytes > this.#maxBytes) return 'too long';
    return frames.length > FRAME_HEADER_BYTES + messageBytes ? 'more than one' : undefined;
  }

  /** What came, once nothing more comes. */
  get message(): Uint8Array | MessageProblem {
    if (this.#frames.length === 0) return 'none';
    if (!this.#frames.hasMessage) return 'cut off';
    return this.#frames.isPlain ? this.#frames.message : 'compressed';
  }
}

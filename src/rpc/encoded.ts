import type { MessageCodec } from './definition.ts';

/** A message that is encoded already, as a handler may answer it. */
export class Encoded<Message> {
  /** The message's own bytes, without any framing. */
  readonly bytes: Uint8Array;
  declare readonly message: Message; // for the compiler alone: an answer of one method is none of another

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/** The bytes of a message, copied from nowhere. */
export function encodeMessage(codec: MessageCodec, message: unknown): Buffer {
  const { buffer, byteOffset, byteLength } =
    message instanceof Encoded ? message.bytes : codec.encode(message as never).finish();
  return Buffer.from(buffer, byteOffset, byteLength);
}

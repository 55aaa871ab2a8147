import { createHash } from 'node:crypto';

/** Names all that an agent sent in one attestation: SHA-256 over the messages, each behind its length as a big-endian u32. */
export class EvidenceDigest {
  readonly #hash = createHash('sha256');

  add(message: Uint8Array): Uint8Array {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(message.length);
    this.#hash.update(length).update(message);
    return message;
  }

  /** Hex. Once, when all has come. */
  finish(): string {
    return this.#hash.digest('hex');
  }
}

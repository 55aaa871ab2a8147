import { SpiffeError } from '../../spiffe/error.ts';

/** The kinds of message that the two halves of the `tpm` attestor exchange: docs/plugins/tpm.md, "On the wire". */
export const MESSAGE_KINDS = { payload: 1, challenge: 2, response: 3, 'log request': 4, 'log chunk': 5 } as const;
export type MessageKind = keyof typeof MESSAGE_KINDS;

/** The first is what every half speaks; the second has more in it, and is used where that is wanted. */
export type MessageVersion = 1 | 2;

const MAGIC = Buffer.from('ATPM', 'ascii');
const HEADER_BYTES = MAGIC.length + 2;

/** Writes one message: magic, version, kind, then fields and lists in the order of the calls. */
export class MessageWriter {
  readonly #parts: Uint8Array[];

  constructor(kind: MessageKind, version: MessageVersion = 1) {
    this.#parts = [MAGIC, Uint8Array.of(version, MESSAGE_KINDS[kind])];
  }

  u8(value: number): this {
    this.#parts.push(Uint8Array.of(value));
    return this;
  }

  u32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    this.#parts.push(bytes);
    return this;
  }

  /** Bytes without a length: the last of a message. */
  rest(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }

  /** A u16 length, big-endian, and the bytes. */
  field(bytes: Uint8Array): this {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length);
    this.#parts.push(length, bytes);
    return this;
  }

  /** A u8 count and as many fields. */
  list(items: readonly Uint8Array[]): this {
    this.u8(items.length);
    for (const item of items) {
      this.field(item);
    }
    return this;
  }

  finish(): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.#parts));
  }
}

/** Reads what {@link MessageWriter} wrote, and refuses everything else with `TPM_DATA_INVALID`. */
export class MessageReader {
  readonly #bytes: Uint8Array;
  readonly #kind: MessageKind;
  readonly version: MessageVersion;
  #offset = HEADER_BYTES;

  /** @param versions of this kind that are spoken here */
  constructor(bytes: Uint8Array, kind: MessageKind, versions: readonly MessageVersion[] = [1]) {
    this.#bytes = bytes;
    this.#kind = kind;
    if (Buffer.compare(bytes.subarray(0, MAGIC.length), MAGIC) !== 0) {
      throw new SpiffeError(
        'TPM_DATA_INVALID',
        `the tpm ${kind} does not begin with "ATPM": is it another attestor's?`,
      );
    }
    const [sentVersion, sentKind] = bytes.subarray(MAGIC.length, HEADER_BYTES);
    const version = versions.find((spoken) => spoken === sentVersion);
    if (version === undefined) {
      throw new SpiffeError(
        'TPM_DATA_INVALID',
        `the tpm ${kind} has version ${sentVersion ?? 'none'}, version ${versions.join(' or ')} is spoken here: update the older side`,
      );
    }
    this.version = version;
    if (sentKind !== MESSAGE_KINDS[kind]) {
      throw new SpiffeError('TPM_DATA_INVALID', `a message of kind ${sentKind ?? 'none'} where the tpm ${kind} is due`);
    }
  }

  u8(what: string): number {
    const [value] = this.#take(1, what);
    return value ?? 0;
  }

  u32(what: string): number {
    return Buffer.from(this.#take(4, what)).readUInt32BE();
  }

  /** All that is left, which shares memory with the message. */
  rest(): Uint8Array {
    const taken = this.#bytes.subarray(this.#offset);
    this.#offset = this.#bytes.length;
    return taken;
  }

  /** @param limits `min` and `max` length in bytes */
  field(what: string, { min = 1, max }: FieldLimits): Uint8Array {
    const [high = 0, low = 0] = this.#take(2, what);
    const length = high * 256 + low;
    if (length < min || length > max) {
      throw new SpiffeError('TPM_DATA_INVALID', `${what} has ${length} bytes, between ${min} and ${max} are allowed`);
    }
    return this.#take(length, what);
  }

  list(what: string, maxCount: number, limits: FieldLimits): readonly Uint8Array[] {
    const count = this.u8(what);
    if (count > maxCount) {
      throw new SpiffeError('TPM_DATA_INVALID', `${count} of ${what}, at most ${maxCount} are allowed`);
    }
    return Array.from({ length: count }, () => this.field(what, limits));
  }

  end(): void {
    if (this.#offset !== this.#bytes.length) {
      throw new SpiffeError(
        'TPM_DATA_INVALID',
        `${this.#bytes.length - this.#offset} bytes follow the tpm ${this.#kind}`,
      );
    }
  }

  #take(length: number, what: string): Uint8Array {
    if (this.#offset + length > this.#bytes.length) {
      throw new SpiffeError('TPM_DATA_INVALID', `the tpm ${this.#kind} is cut off at ${what}`);
    }
    const taken = this.#bytes.slice(this.#offset, this.#offset + length);
    this.#offset += length;
    return taken;
  }
}

export interface FieldLimits {
  readonly min?: number;
  readonly max: number;
}

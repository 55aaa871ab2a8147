import { Metadata } from '@grpc/grpc-js';

/** Outgoing metadata; keys that end in `-bin` take bytes. */
export type OutgoingMetadata = Readonly<Record<string, string | Uint8Array>>;

/** What a call came with. */
export interface WithMetadata {
  /** Values of a key in lower case: bytes for one that ends in `-bin`. */
  readonly metadata: { get(key: string): readonly (string | Uint8Array)[] };
}

/** Incoming metadata, as a peer sent it: hostile until checked. */
export class CallMetadata {
  readonly #call: WithMetadata;

  constructor(call: WithMetadata) {
    this.#call = call;
  }

  /** The first text value of `key`. */
  findText(key: string): string | undefined {
    return this.getAllText(key)[0];
  }

  getAllText(key: string): readonly string[] {
    return this.#values(key).filter((value) => typeof value === 'string');
  }

  /** The first binary value of `key`, which ends in `-bin`. */
  findBytes(key: string): Uint8Array | undefined {
    const [value] = this.#values(key);
    return value instanceof Uint8Array ? value : undefined;
  }

  #values(key: string): readonly (string | Uint8Array)[] {
    return this.#call.metadata.get(key.toLowerCase());
  }
}

export function toMetadata(values: OutgoingMetadata = {}): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(values)) {
    metadata.set(key, typeof value === 'string' ? value : Buffer.from(value));
  }
  return metadata;
}

import { Metadata } from '@grpc/grpc-js';

/** Outgoing metadata; keys that end in `-bin` take bytes. */
export type OutgoingMetadata = Readonly<Record<string, string | Uint8Array>>;

/** Incoming metadata, as a peer sent it: hostile until checked. */
export class CallMetadata {
  readonly #read: () => Metadata;
  #metadata: Metadata | undefined;

  /** @param read is called where somebody asks for a value: most calls have none that matter */
  constructor(read: () => Metadata) {
    this.#read = read;
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

  #values(key: string): ReturnType<Metadata['get']> {
    this.#metadata ??= this.#read();
    return this.#metadata.get(key);
  }
}

export function toMetadata(values: OutgoingMetadata = {}): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(values)) {
    metadata.set(key, typeof value === 'string' ? value : Buffer.from(value));
  }
  return metadata;
}

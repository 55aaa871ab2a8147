import { SpiffeError } from '../spiffe/error.ts';
import type { KeyType } from '../x509/signer.ts';
import type { KeyRecord, SignatureOptions } from './key-manager.ts';
import { SoftwareKey } from './software-key.ts';

/** Called with every key, the new one among them, before the new one counts. */
export type PersistKeys = (keys: readonly SoftwareKey[]) => Promise<void>;

/** A set of software keys by id: what the key managers `memory` and `disk` have in common. */
export class SoftwareKeys implements Disposable {
  readonly #keys: Map<string, SoftwareKey>;
  readonly #persist: PersistKeys;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(keys: readonly SoftwareKey[] = [], persist: PersistKeys = async () => {}) {
    this.#keys = new Map(keys.map((key) => [key.record.id, key]));
    this.#persist = persist;
  }

  /** Replaces the key that had the id, once the new set is stored. */
  async generate(id: string, type: KeyType): Promise<KeyRecord> {
    const key = await SoftwareKey.generate(id, type);
    const write = this.#writing.then(() => this.#put(key));
    this.#writing = write.catch(() => {});
    await write;
    return key.record;
  }

  find(id: string): KeyRecord | undefined {
    return this.#keys.get(id)?.record;
  }

  list(): readonly KeyRecord[] {
    return [...this.#keys.values()].map(({ record }) => record).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** @throws SpiffeError `KEY_NOT_FOUND`, `ARGUMENT_INVALID` */
  sign(id: string, digest: Uint8Array, options: SignatureOptions): { signature: Uint8Array; fingerprint: string } {
    const key = this.#keys.get(id);
    if (key === undefined) throw new SpiffeError('KEY_NOT_FOUND', `no such key "${id}"`);
    return { signature: key.signDigest(digest, options), fingerprint: key.record.fingerprint };
  }

  [Symbol.dispose](): void {
    for (const key of this.#keys.values()) key[Symbol.dispose]();
    this.#keys.clear();
  }

  async #put(key: SoftwareKey): Promise<void> {
    const { id } = key.record;
    await this.#persist([...[...this.#keys.values()].filter(({ record }) => record.id !== id), key]);
    const replaced = this.#keys.get(id);
    this.#keys.set(id, key);
    replaced?.[Symbol.dispose]();
  }
}

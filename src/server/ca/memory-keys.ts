import { generatePrivateKey } from '../../x509/generate-private-key.ts';
import { type KeyType, type Signer, signerOfKeyObject } from '../../x509/signer.ts';
import type { AuthorityKeys } from './authority-keys.ts';

/** Keys that live as long as the server, in its own memory. */
export class MemoryKeys implements AuthorityKeys {
  readonly #signers = new Map<string, Signer>();

  async generateKey(id: string, type: KeyType): Promise<Signer> {
    const signer = signerOfKeyObject(await generatePrivateKey(type));
    this.#signers.set(id, signer);
    return signer;
  }

  async findKey(id: string): Promise<Signer | undefined> {
    return this.#signers.get(id);
  }
}

import type { KeyType, Signer } from '../../x509/signer.ts';

/** Where the private keys of authorities are: a key manager is one. */
export interface AuthorityKeys {
  /** Replaces the key of that id, where there is one. */
  generateKey(id: string, type: KeyType): Promise<Signer>;
  findKey(id: string): Promise<Signer | undefined>;
}

import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { type KeyType, type Signer, signerOfKeyObject } from '../../x509/signer.ts';
import type { AuthorityKeys } from './authority-keys.ts';

const generate = promisify(generateKeyPair);

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

async function generatePrivateKey(type: KeyType): Promise<KeyObject> {
  switch (type) {
    case 'ec-p256':
      return (await generate('ec', { namedCurve: 'P-256' })).privateKey;
    case 'ec-p384':
      return (await generate('ec', { namedCurve: 'P-384' })).privateKey;
    case 'rsa-2048':
      return (await generate('rsa', { modulusLength: 2048 })).privateKey;
    case 'rsa-4096':
      return (await generate('rsa', { modulusLength: 4096 })).privateKey;
  }
}

import type { KeyManager, ManagedKey } from '../../plugin-host/kinds/key-manager.ts';

/** Two keys in turn: the one in use stays until the SVID of the other has been stored. Source: plugin-wire §8.1. */
const KEY_IDS = ['agent-svid-A', 'agent-svid-B'] as const;

/** A new key in the slot that `inUse` is not in. */
export async function generateAgentKey(keyManager: KeyManager, inUse: ManagedKey | undefined): Promise<ManagedKey> {
  const [first, second] = KEY_IDS;
  return await keyManager.generateKey(inUse?.id === first ? second : first, 'ec-p256');
}

/** The agent's key with that public key (SubjectPublicKeyInfo, DER), where the key manager has it still. */
export async function findAgentKey(keyManager: KeyManager, publicKey: Uint8Array): Promise<ManagedKey | undefined> {
  for (const id of KEY_IDS) {
    const key = await keyManager.findKey(id);
    if (key !== undefined && Buffer.compare(key.publicKey, publicKey) === 0) return key;
  }
  return undefined;
}

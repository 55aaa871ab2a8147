import { createHash, hkdfSync, randomBytes, verify } from 'node:crypto';
import type { KeyManager, ManagedKey } from '../../plugin-host/kinds/key-manager.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { publicKeyOfSpki } from '../../x509/spki.ts';

/** A key of AES-256, and what it was made from. */
export interface CacheKey {
  readonly salt: Uint8Array;
  readonly key: Uint8Array;
}

const KEY_ID = 'agent-cache';
const LABEL = 'assayer workload cache 1';
const SALT_BYTES = 32;

/** A new key, after a new salt. The key manager's key is made where it is missing. */
export async function createCacheKey(keyManager: KeyManager): Promise<CacheKey> {
  const signer = (await keyManager.findKey(KEY_ID)) ?? (await keyManager.generateKey(KEY_ID, 'rsa-2048'));
  return await derive(signer, randomBytes(SALT_BYTES));
}

/** The key that was made with that salt; undefined where the key manager has lost its part of it. */
export async function findCacheKey(keyManager: KeyManager, salt: Uint8Array): Promise<CacheKey | undefined> {
  const signer = await keyManager.findKey(KEY_ID);
  return signer?.keyType === 'rsa-2048' ? await derive(signer, salt) : undefined;
}

/**
 * The secret is the key manager's RSASSA-PKCS1-v1_5 signature over label and salt: the only one there is for them
 * (RFC 8017 §8.2.1 is deterministic), and nobody has it who cannot use the key. The key signs nothing else.
 */
async function derive(signer: ManagedKey, salt: Uint8Array): Promise<CacheKey> {
  const message = Buffer.concat([Buffer.from(LABEL), salt]);
  const signature = await signer.signDigest(createHash('sha256').update(message).digest(), 'sha256');
  if (!verify('sha256', message, publicKeyOfSpki(signer.publicKey), signature)) {
    throw new SpiffeError('PLUGIN_PROTOCOL', `the key manager signed with "${KEY_ID}" what does not verify`);
  }
  return { salt, key: new Uint8Array(hkdfSync('sha256', signature, salt, LABEL, 32)) };
}

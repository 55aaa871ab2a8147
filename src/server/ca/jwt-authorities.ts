import { randomBytes } from 'node:crypto';
import type { KeyManager } from '../../plugin-host/kinds/key-manager.ts';
import type { JwtAuthority } from '../../spiffe/bundle.ts';
import type { KeyType, Signer } from '../../x509/signer.ts';
import type { JwtRecord, Slot } from './ca-journal.ts';

/** A key that signs JWT-SVIDs. */
export interface JwtSigningAuthority {
  readonly signer: Signer;
  readonly keyId: string;
  /** Unix seconds. */
  readonly notAfter: number;
}

const managedKeyId = (slot: Slot) => `JWT-Signer-${slot}`;

/** Makes a new key in `slot`, under a random key ID. */
export async function prepareJwtAuthority(
  { keyManager, keyType, ttlSeconds }: { keyManager: KeyManager; keyType: KeyType; ttlSeconds: number },
  slot: Slot,
  now: number,
): Promise<JwtRecord> {
  const { publicKey } = await keyManager.generateKey(managedKeyId(slot), keyType);
  const keyId = randomBytes(24).toString('base64url');
  return { slot, state: 'prepared', keyId, publicKey, issuedAt: now, notAfter: now + ttlSeconds };
}

/** The authority of a record, where the key manager still holds its key. */
export async function findJwtAuthority(
  keyManager: KeyManager,
  record: JwtRecord,
): Promise<JwtSigningAuthority | undefined> {
  const signer = await keyManager.findKey(managedKeyId(record.slot));
  if (signer === undefined || Buffer.compare(signer.publicKey, record.publicKey) !== 0) return undefined;
  return { signer, keyId: record.keyId, notAfter: record.notAfter };
}

export function toJwtAuthority({ keyId, publicKey, notAfter }: JwtRecord): JwtAuthority {
  return { keyId, publicKey, expiresAt: notAfter, tainted: false };
}

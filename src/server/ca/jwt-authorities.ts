import { randomBytes } from 'node:crypto';
import { jwtAuthorityOf } from '../../spiffe/bundle.ts';
import type { KeyType, Signer } from '../../x509/signer.ts';
import type { BundleKeeper } from '../bundle-keeper.ts';
import type { AuthorityKeys } from './authority-keys.ts';
import type { AuthorityKind } from './authority-kind.ts';
import type { JwtRecord, Slot } from './authority-records.ts';
import type { CaAnchor } from './ca-anchor.ts';

/** A key that signs JWT-SVIDs. */
export interface JwtSigningAuthority {
  readonly signer: Signer;
  readonly keyId: string;
  /** Unix seconds. */
  readonly notAfter: number;
}

export interface JwtAuthorityOptions {
  readonly keys: AuthorityKeys;
  readonly keyType: KeyType;
  readonly ttlSeconds: number;
  readonly anchor: CaAnchor;
  readonly bundle: BundleKeeper;
}

const managedKeyId = (slot: Slot) => `JWT-Signer-${slot}`;

export function jwtAuthorities(options: JwtAuthorityOptions): AuthorityKind<JwtRecord, JwtSigningAuthority> {
  const { keys, keyType, ttlSeconds, anchor, bundle } = options;
  return {
    name: 'JWT',
    recordsOf: ({ jwt }) => jwt,
    withRecords: (content, jwt) => ({ ...content, jwt }),
    async make(slot, now) {
      const { publicKey } = await keys.generateKey(managedKeyId(slot), keyType);
      const authorityId = randomBytes(24).toString('base64url');
      const notAfter = now + ttlSeconds;
      await anchor.publishJwtAuthority({ keyId: authorityId, publicKey, expiresAt: notAfter, tainted: false });
      return { slot, state: 'prepared', authorityId, publicKey, issuedAt: now, notAfter };
    },
    async find({ slot, publicKey, authorityId, notAfter }) {
      const signer = await keys.findKey(managedKeyId(slot));
      if (signer === undefined || Buffer.compare(signer.publicKey, publicKey) !== 0) return undefined;
      return { signer, keyId: authorityId, notAfter };
    },
    isPublished: ({ authorityId }) => jwtAuthorityOf(bundle.current, authorityId) !== undefined,
    taint: (authorityId) => bundle.taintJwt(authorityId),
    revoke: (authorityId) => bundle.revokeJwt(authorityId),
    findRevocationProblem(authorityId, record) {
      if (record?.state === 'prepared') return 'unable to use a prepared key';
      if (record !== undefined || jwtAuthorityOf(bundle.current, authorityId) !== undefined) return undefined;
      return 'no JWT authority found with provided authority ID';
    },
  };
}
